"""The report of a cross-validation: scores as JSON, predictions as CSV, and a page."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import numpy as np

from resnet50._io.files import write_text
from resnet50.audit.issue import AllImages
from resnet50.audit.label_errors import label_issues
from resnet50.inference.locate import CROSS_VALIDATION
from resnet50.metrics.calibration import BINS
from resnet50.metrics.cross_validation import CrossValidation
from resnet50.plots.confusion import draw_confusion
from resnet50.plots.evaluation import draw_reliability
from resnet50.reports.audit import SHOWN, shown_issue
from resnet50.reports.figures import ReportFigure, calibration_message, confused_pairs, confusion_message
from resnet50.reports.pages import page_figure, render
from resnet50.weights.registry import without_folder

PAIRS = 10
"""Most pairs of confused classes on the page."""

PAGE = "crossval.html"
"""Name of the page in the folder of a cross-validation."""

PREDICTIONS = "predictions.csv"
"""Name of the table of all predictions in the folder of a cross-validation."""

SCORES = CROSS_VALIDATION
"""Name of the scores in the folder of a cross-validation."""


def write_cross_validation(folder: str | os.PathLike[str], result: CrossValidation) -> None:
    """Write `SCORES`, `PREDICTIONS` and `PAGE` into a folder, each atomically; earlier ones are replaced.

    Args:
        folder: The folder; created if it is missing.
        result: The cross-validation.
    """
    folder = Path(folder)
    page = cross_validation_page(result)
    write_text(folder / SCORES, result.to_json())
    result.save_predictions(folder / PREDICTIONS)
    write_text(folder / PAGE, page)


def cross_validation_page(result: CrossValidation) -> str:
    """Return the page of a cross-validation, as HTML text; its figures are of the first repetition."""
    first, classes = result.reports[0], result.classes
    issues = label_issues(AllImages(result.splits.by_name), result.probabilities, result.features)
    confusion = partial(draw_confusion, np.array(first.confusion), tuple(classes))
    figures = {
        "confusion": ReportFigure(first.dataset, confusion_message(first, "image"), confusion),
        "reliability": ReportFigure(
            first.dataset, calibration_message(first), partial(draw_reliability, first.reliability)
        ),
    }
    return render(
        "cross_validation.html.j2",
        result=result,
        report=first,
        weights=without_folder(result.weights) if result.weights else "",
        baseline=max(scores.support for scores in classes.values()) / len(result.dataset),
        macro_f1=float(np.mean([report.macro_f1 for report in result.reports])),
        loss=float(np.mean([report.loss for report in result.reports])),
        classes=sorted(classes.items(), key=lambda item: (not item[1].support, item[1].f1)),
        confused=confused_pairs(first)[:PAIRS],
        labels=[shown_issue(issue, result.splits) for issue in issues],
        most_shown=SHOWN,
        bins=BINS,
        figures={name: page_figure(figure.without_title(), figure.message) for name, figure in figures.items()},
        predictions=PREDICTIONS,
    )
