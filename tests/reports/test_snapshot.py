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

from factories import dataset
from resnet50.audit.issue import Issue, Place
from resnet50.data.splits import DatasetSplits
from resnet50.datasets.source import DataSource
from resnet50.graph.geometry import FeatureMap, ReceptiveField
from resnet50.metrics.calibration import TemperatureScaling
from resnet50.metrics.scores import score
from resnet50.metrics.selective import score_selective
from resnet50.reports.figures import report_figures
from resnet50.reports.report import WorstMistakes, report_page
from resnet50.reports.results import Results
from resnet50.reports.training_summary import TrainingSummary
from resnet50.uncertainty.thresholds import Judgement

SNAPSHOT = Path(__file__).parent / "snapshot" / "report.html"

TRAINING = TrainingSummary(
    dataset="Farm",
    recipe={
        "label_smoothing": 0.1,
        "name": "tiny",
        "phases": [
            {"trainable": "head", "epochs": 1, "learning_rate": 0.003, "schedule": "cosine"},
            {"trainable": "all", "epochs": 4, "learning_rate": 0.0003, "schedule": "plateau"},
        ],
        "weights": None,
        "batch_size": 8,
        "image_size": 96,
        "stem": "imagenet",
        "stages": None,
        "mixup": 0.0,
        "cutmix": 0.0,
        "validation_split": 0.25,
        "seed": 4,
    },
    history={
        "phase": [1, 2, 2],
        "loss": [1.5, 0.9, 0.4],
        "accuracy": [0.4, 0.75, 0.95],
        "val_loss": [1.6, 1.2, 1.1],
        "val_accuracy": [0.3, 0.5, 0.625],
        "learning_rate": [0.003, 0.0003, 0.0003],
        "seconds": [20.0, 50.4, 51.2],
    },
    source=DataSource("folder", "/data/my farm"),
    model="runs/farm",
)


def page() -> str:
    """Render a report with every section, from literal probabilities."""
    classes = ("cats", "dogs", "<cows>", "owls")
    predicted = [0, 0, 0, 0, 1, 1, 1, 0, 2, 2, 1, 0]
    test = dataset(
        [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2], classes, name="Farm", paths=[f"test/{k}.jpg" for k in range(12)]
    )
    train = dataset([0, 1, 2, 3] * 6, classes, name="Farm")
    probabilities = np.full((12, 4), 0.05)
    probabilities[np.arange(12), predicted] = 0.85
    pair = (Place("test/3.jpg", "test", 3, "cats"), Place("9.png", "train", 9, "dogs", "the same pixels"))
    issues = (
        Issue("leak", "error", "1 of 12 test images (8.3%) has a near-duplicate in train.", "Remove it.", (pair,)),
        Issue("small-test", "note", "The test split is small.", "Add test images."),
    )
    scaled = TemperatureScaling(
        temperature=1.5, images=60, validation_loss=0.8, cross_validated_loss=0.7, calibration_error=0.04, loss=0.75
    )
    sets = probabilities > 0.5
    sets[:, 0] = True
    judged = Judgement(sets, None, np.arange(12) == 11)
    selective = score_selective(judged, probabilities, test.labels, classes, coverage=0.95, calibration_images=60)
    report = replace(score(probabilities, test), temperature_scaling=scaled, issues=issues, selective=selective)
    mistakes = [mistake.index for mistake in report.mistakes]
    field = ReceptiveField(size=(267, 267), jump=(16, 16), center=(0.0, 0.0))
    worst = WorstMistakes(
        test.select(mistakes),
        probabilities[mistakes],
        overlays=255 - test.images[mistakes],
        feature_map=FeatureMap("conv4_block6_out", (6, 6), field),
    )
    results = Results(report, DatasetSplits(train, test), TRAINING, TRAINING.source)
    return report_page(results, worst, report_figures(results))


def test_the_page_of_a_report_is_that_of_the_snapshot():
    html = re.sub(r"data:image/[\w+]+;base64,[\w+/=]+", "data:,", page())
    if os.environ.get("RENEW_SNAPSHOTS"):
        SNAPSHOT.parent.mkdir(exist_ok=True)
        SNAPSHOT.write_text(html, encoding="utf-8")
    assert html.splitlines() == SNAPSHOT.read_text(encoding="utf-8").splitlines()
