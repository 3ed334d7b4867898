"""A whole page of a report, compared with the one in ``snapshot/``.

After a change of a template, look at the new page and renew the snapshot:

    RENEW_SNAPSHOTS=1 python -m pytest tests/reports/test_snapshot.py

Images are left out of the comparison, since their bytes differ between machines.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from factories import dataset
from resnet50.audit.issue import Issue
from resnet50.metrics.calibration import TemperatureScaling
from resnet50.metrics.scores import score
from resnet50.reports.report import WorstMistakes, report_page

SNAPSHOT = Path(__file__).parent / "snapshot" / "report.html"


def page(folder: Path) -> str:
    """Render a report with every section, from literal probabilities."""
    classes = ("cats", "dogs", "<cows>", "owls")
    predicted = [0, 0, 0, 0, 1, 1, 1, 0, 2, 2, 1, 0]
    test = dataset(
        [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2], classes, name="Farm", paths=[f"test/{k}.jpg" for k in range(12)]
    )
    probabilities = np.full((12, 4), 0.05)
    probabilities[np.arange(12), predicted] = 0.85
    issues = (
        Issue("leak", "error", "1 of 12 test images (8.3%) has a near-duplicate in the train split.", "Remove it."),
        Issue("small-test", "note", "The test split is small.", "Add test images."),
    )
    scaled = TemperatureScaling(temperature=1.5, images=60, calibration_error=0.04, loss=0.75)
    report = replace(score(probabilities, test), temperature_scaling=scaled, issues=issues)
    mistakes = [mistake.index for mistake in report.mistakes]
    worst = WorstMistakes(test.select(mistakes), probabilities[mistakes], overlays=255 - test.images[mistakes])
    figures = {name: folder / f"{name}.png" for name in ("balance", "confusion", "reliability")}
    for path in figures.values():
        Image.new("RGB", (640, 320)).save(path)
    return report_page(report, worst, figures, recipe={"name": "tiny", "seed": 4}, trained_on="Farm")


def test_the_page_of_a_report_is_that_of_the_snapshot(tmp_path):
    html = re.sub(r"data:image/\w+;base64,[\w+/=]+", "data:,", page(tmp_path))
    if os.environ.get("RENEW_SNAPSHOTS"):
        SNAPSHOT.parent.mkdir(exist_ok=True)
        SNAPSHOT.write_text(html, encoding="utf-8")
    assert html.splitlines() == SNAPSHOT.read_text(encoding="utf-8").splitlines()
