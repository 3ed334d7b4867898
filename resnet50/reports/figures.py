"""The figures of a report, each with a title that states its message."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.figure import Figure

from resnet50._io.text import plural
from resnet50.metrics.scores import Report
from resnet50.plots import fonts
from resnet50.plots.confusion import draw_confusion
from resnet50.plots.evaluation import draw_balance, draw_reliability, draw_risk_coverage
from resnet50.plots.training import draw_curves
from resnet50.reports.results import Results
from resnet50.reports.training_summary import TrainingSummary

_LONGEST = 24  # characters of a class name in a title


@dataclass(frozen=True)
class ConfusedPair:
    """Images of a class that are predicted as another.

    Attributes:
        true: Name of their class.
        predicted: Name of the other class.
        count: Number of images.
        share: Their share of the images of their class, 0..1.
    """

    true: str
    predicted: str
    count: int
    share: float


@dataclass(frozen=True)
class ReportFigure:
    """A figure of a report, which has its title in a file and its message above it on the page.

    Attributes:
        dataset: Name of the dataset that it is about.
        message: What it shows, without a full stop.
        draw: Draws it, with the keyword ``title``.
    """

    dataset: str
    message: str
    draw: Callable[..., Figure]

    def with_title(self) -> Figure:
        """Draw it with its title, to stand alone."""
        return self.draw(title=f"{self.dataset}: {self.message}")

    def without_title(self) -> Figure:
        """Draw it for a page that shows the message."""
        return self.draw(title=None)


def report_figures(results: Results) -> dict[str, ReportFigure]:
    """Return the figures of a report.

    Args:
        results: The results.

    Returns:
        Figures by the names of their files without the suffix: ``"balance"``, ``"confusion"``, ``"reliability"``,
        ``"risk_coverage"`` where the classifier has thresholds, and ``"curves"`` where the history of the training is
        known; linear probes alone have none.
    """
    report, training = results.report, results.training
    classes, counts = tuple(report.classes), _class_counts(results)
    scored = {
        "balance": (_balance_message(counts), partial(draw_balance, counts, classes)),
        "confusion": (confusion_message(report), partial(draw_confusion, np.array(report.confusion), classes)),
        "reliability": (calibration_message(report), partial(draw_reliability, report.reliability)),
    }
    if report.selective is not None:
        draw = partial(draw_risk_coverage, report.selective.answered, report.selective.risk)
        scored["risk_coverage"] = (_risk_message(report), draw)
    figures = {name: ReportFigure(report.dataset, message, draw) for name, (message, draw) in scored.items()}
    if {"loss", "accuracy"}.issubset(training.history) and training.has_epochs:
        curves = partial(draw_curves, training.history)
        figures["curves"] = ReportFigure(training.dataset, _curves_message(training), curves)
    return figures


def confused_pairs(report: Report) -> list[ConfusedPair]:
    """Return every pair of classes with mistakes, the most frequent first."""
    counts, names = np.array(report.confusion), list(report.classes)
    totals = counts.sum(axis=1)
    np.fill_diagonal(counts, 0)
    order = np.argsort(-counts, axis=None, kind="stable")[: np.count_nonzero(counts)]
    return [
        ConfusedPair(
            names[true], names[predicted], int(counts[true, predicted]), counts[true, predicted] / totals[true]
        )
        for true, predicted in (divmod(int(cell), len(names)) for cell in order)
    ]


def _class_counts(results: Results) -> dict[str, list[int]]:
    """Return the number of images of each class, for each split that is there."""
    classes = len(results.report.classes)
    return {
        name: np.bincount(dataset.labels, minlength=classes).tolist()
        for name, dataset in results.splits.by_name.items()
    }


def _balance_message(counts: Mapping[str, Sequence[int]]) -> str:
    split, values = next(iter(counts.items()))
    low, high = min(values), max(values)
    kind = "training" if split == "train" else split
    return f"{f'{low:,}' if low == high else f'{low:,} to {high:,}'} {kind} images of each class"


def confusion_message(report: Report, noun: str = "test image") -> str:
    """Return what a confusion matrix shows; ``noun`` is what was classified."""
    pairs = confused_pairs(report)
    if not pairs:
        return f"every {noun} is classified correctly"
    if pairs[0].count == 1:
        return f"{report.accuracy:.1%} accuracy, {plural(len(report.mistakes), 'mistake')}"
    names = (pairs[0].true, pairs[0].predicted)
    true, predicted = (fonts.with_all_characters(fonts.shortened(name, _LONGEST)) for name in names)
    return f"{report.accuracy:.1%} accuracy, most often confused: {true} predicted as {predicted}"


def calibration_message(report: Report) -> str:
    """Return what a reliability diagram shows."""
    confidence = sum(each.images * each.confidence for each in report.reliability) / report.images
    if report.calibration_error <= 2 * report.chance_error:
        return f"calibration error {report.calibration_error:.1%}, {report.chance_error:.1%} by chance"
    direction = "overconfident" if confidence > report.accuracy else "underconfident"
    return f"{direction}, {confidence:.1%} mean confidence and {report.accuracy:.1%} accuracy"


def _risk_message(report: Report) -> str:
    selective = report.selective
    if selective is None or not report.mistakes:
        return "every test image is classified correctly"
    half = next(risk for share, risk in zip(selective.answered, selective.risk, strict=True) if share >= 0.5)
    return f"{report.accuracy:.1%} of all are right, {1 - half:.1%} of the half with the highest confidence"


def _curves_message(training: TrainingSummary) -> str:
    name = "training" if training.last("val_accuracy") is None else "validation"
    accuracy = training.last("accuracy" if name == "training" else "val_accuracy")
    best = training.best_accuracy() if training.keeps_best else None
    if best is not None:
        return f"{best:.1%} best validation accuracy in {plural(training.epochs, 'epoch')}"
    known = "" if accuracy is None else f"{accuracy:.1%} {name} accuracy "
    return f"{known}after {plural(training.epochs, 'epoch')}"
