"""The report on a classifier: scores as JSON, figures as PNG, and a page with both.

The scores are those of `resnet50.metrics.scores`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from resnet50._io.files import write_text
from resnet50.audit.issue import Issue
from resnet50.data.dataset import Dataset
from resnet50.inference.classifier import Classifier
from resnet50.metrics.calibration import (
    BINS,
    TemperatureScaling,
    calibration_error,
    fit_temperature,
    mean_loss,
    reliability,
    scale,
)
from resnet50.metrics.grad_cam import grad_cam
from resnet50.metrics.scores import Report, score
from resnet50.plots.confusion import draw_confusion
from resnet50.plots.evaluation import draw_balance, draw_reliability
from resnet50.plots.explain import overlay
from resnet50.plots.images import draw_predictions
from resnet50.plots.save import save_figure
from resnet50.reports.pages import image_uri, page_figure, render

WORST = 24
"""Most mistakes that are shown as images; ``report.json`` lists all."""

PAIRS = 10
"""Most pairs of confused classes on the page."""


@dataclass(frozen=True, eq=False)
class WorstMistakes:
    """The images of the mistakes with the highest confidence, in the order of `Report.mistakes`.

    Attributes:
        dataset: The ``n`` images.
        probabilities: Predicted probabilities, ``(n, classes)``, 0..1.
        overlays: Grad-CAM over each image, uint8 ``(n, height, width, 3)``; None if there is none.
        no_grad_cam: Why there is no Grad-CAM for this network; else empty.
    """

    dataset: Dataset
    probabilities: np.ndarray
    overlays: np.ndarray | None
    no_grad_cam: str = ""


def write_report(
    folder: str | os.PathLike[str],
    classifier: Classifier,
    test: Dataset,
    *,
    train: Dataset | None = None,
    validation: Dataset | None = None,
    issues: Sequence[Issue] = (),
) -> Report:
    """Score a classifier, and write ``report.json``, ``report.html`` and the page's figures as PNG, each atomically.

    Args:
        folder: Folder to write to; created if it is missing. Files of an earlier report are replaced.
        classifier: The classifier.
        test: Images to score it on, of its size and classes, that it was not trained on.
        train: Its training images, to count them.
        validation: Other images that it was not trained on, to fit a temperature.
        issues: Issues of the audit, to report them.

    Returns:
        The scores, as in ``report.json``.

    Raises:
        ValueError: If the images do not fit the classifier.
    """
    folder = Path(folder)
    probabilities = classifier.probabilities(test.images)
    scaled, temperature_reason = _temperature_scaling(classifier, probabilities, test, validation)
    report = replace(
        score(probabilities, test),
        temperature_scaling=scaled,
        temperature_reason=temperature_reason,
        issues=tuple(issues),
    )
    worst = _worst_mistakes(report, classifier, test, probabilities)
    figures = {}
    for name, figure in _draw_figures(report, worst, _class_counts(train, validation, test)).items():
        figures[name] = folder / f"{name}.png"
        save_figure(figure, figures[name])
    page = report_page(report, worst, figures, recipe=classifier.recipe, trained_on=classifier.dataset)
    write_text(folder / "report.json", report.to_json())
    write_text(folder / "report.html", page)
    return report


def report_page(
    report: Report,
    worst: WorstMistakes,
    figures: Mapping[str, str | os.PathLike[str]],
    *,
    recipe: Mapping[str, Any],
    trained_on: str,
) -> str:
    """Return the page of a report, as HTML text.

    Args:
        report: The scores.
        worst: The worst mistakes.
        figures: PNG files named ``"balance"``, ``"confusion"`` and ``"reliability"``.
        recipe: The recipe that the classifier was trained with, of which ``name`` and ``seed`` are shown; may be empty.
        trained_on: Name of the dataset that it was trained on.
    """
    return render(
        "report.html.j2",
        report=report,
        recipe={"name": recipe["name"], "seed": recipe.get("seed")} if "name" in recipe else None,
        trained_on=trained_on,
        baseline=max(scores.support for scores in report.classes.values()) / report.images,
        classes=sorted(report.classes.items(), key=lambda item: (not item[1].support, item[1].f1)),
        confused=_confused_pairs(report),
        bins=BINS,
        figures={name: page_figure(figures[name]) for name in ("balance", "confusion", "reliability")},
        mistakes=_shown_mistakes(report, worst),
        no_grad_cam=worst.no_grad_cam,
    )


def _temperature_scaling(
    classifier: Classifier, probabilities: np.ndarray, test: Dataset, validation: Dataset | None
) -> tuple[TemperatureScaling | None, str]:
    """Return the test scores with a fitted temperature, None without one, and why it is not recommended, or ""."""
    if validation is None:
        return None, "there are no validation images to fit a temperature on."
    try:
        temperature = fit_temperature(classifier.probabilities(validation.images), validation.labels)
    except ValueError as error:
        return None, str(error)
    after = scale(probabilities, temperature)
    scaled = TemperatureScaling(
        temperature=temperature,
        images=len(validation),
        calibration_error=calibration_error(reliability(after, test.labels)),
        loss=mean_loss(after, test.labels),
    )
    return scaled, _why_at_limit(scaled) if scaled.at_limit else ""


def _why_at_limit(scaled: TemperatureScaling) -> str:
    reason = "its confidence hardly depends on whether a prediction is right"
    if scaled.temperature < 1:
        reason = "its predicted class is hardly more probable than the others"
    return (
        f"the best temperature on {scaled.images:,} validation images is {scaled.temperature:.2f} or beyond, at the "
        f"limit of the search; for this classifier, {reason}."
    )


def _worst_mistakes(report: Report, classifier: Classifier, test: Dataset, probabilities: np.ndarray) -> WorstMistakes:
    indices = [mistake.index for mistake in report.mistakes[:WORST]]
    dataset, chosen = test.select(indices), probabilities[indices]
    if not indices:
        return WorstMistakes(dataset, chosen, None)
    images = np.asarray(dataset.images)
    try:
        heats = grad_cam(classifier.model, images, chosen.argmax(axis=1))
    except ValueError as error:
        return WorstMistakes(dataset, chosen, None, str(error))
    overlays = np.stack([overlay(image, heat) for image, heat in zip(images, heats, strict=True)])
    return WorstMistakes(dataset, chosen, overlays)


def _class_counts(train: Dataset | None, validation: Dataset | None, test: Dataset) -> dict[str, list[int]]:
    """Return the number of images of each class, for each split that is there."""
    splits = {"train": train, "validation": validation, "test": test}
    return {
        name: np.bincount(dataset.labels, minlength=len(test.class_names)).tolist()
        for name, dataset in splits.items()
        if dataset is not None
    }


def _draw_figures(report: Report, worst: WorstMistakes, counts: Mapping[str, Sequence[int]]) -> dict[str, Figure]:
    """Return the figures by the names of their files, without the suffix."""
    name, classes = report.dataset, tuple(report.classes)
    return {
        "balance": draw_balance(counts, classes, title=f"{name}: class balance"),
        "confusion": draw_confusion(
            np.array(report.confusion), classes, title=f"{name}: confusion matrix, {report.accuracy:.1%} accuracy"
        ),
        "reliability": draw_reliability(
            report.reliability, title=f"{name}: calibration error {report.calibration_error:.1%}"
        ),
        "mistakes": draw_predictions(
            worst.dataset, worst.probabilities, title=f"{name}: worst mistakes", beside=worst.overlays
        ),
    }


def _confused_pairs(report: Report) -> list[dict[str, Any]]:
    """Return the pairs of classes with the most mistakes, most first."""
    counts, names = np.array(report.confusion), list(report.classes)
    totals = counts.sum(axis=1)
    np.fill_diagonal(counts, 0)
    pairs = [divmod(int(cell), len(names)) for cell in np.argsort(-counts, axis=None, kind="stable")[:PAIRS]]
    return [
        {
            "true": names[true],
            "predicted": names[predicted],
            "count": int(counts[true, predicted]),
            "share": counts[true, predicted] / totals[true],
        }
        for true, predicted in pairs
        if counts[true, predicted]
    ]


def _shown_mistakes(report: Report, worst: WorstMistakes) -> list[dict[str, Any]]:
    """Return each of the worst mistakes with its image, and with its Grad-CAM if there is one."""
    overlays = [""] * len(worst.dataset) if worst.overlays is None else [image_uri(each) for each in worst.overlays]
    return [
        {"mistake": mistake, "image": image_uri(image), "grad_cam": grad_cam_uri}
        for mistake, image, grad_cam_uri in zip(report.mistakes, worst.dataset.images, overlays, strict=False)
    ]
