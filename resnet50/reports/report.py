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
from resnet50.data.splits import DatasetSplits
from resnet50.datasets.source import DataSource
from resnet50.graph.geometry import FeatureMap
from resnet50.inference.classifier import Classifier
from resnet50.metrics.calibration import BINS, TemperatureScaling, find_temperature, score_temperature
from resnet50.metrics.heat_map import heat_maps
from resnet50.metrics.scores import Report, score
from resnet50.metrics.selective import SelectiveScores, score_selective
from resnet50.plots.heat import color_bar, overlay
from resnet50.plots.images import draw_predictions
from resnet50.plots.save import save_figure
from resnet50.reports.commands import check_command
from resnet50.reports.figures import ReportFigure, confused_pairs, report_figures
from resnet50.reports.next_steps import next_steps
from resnet50.reports.pages import page_figure, page_image, render
from resnet50.reports.results import Results
from resnet50.reports.scored import Scored
from resnet50.reports.scored import scored as score_images
from resnet50.reports.training_summary import TrainingSummary
from resnet50.uncertainty.shares import COVERAGE, REFUSE

WORST = 24
"""Most mistakes that are shown as images; ``report.json`` lists all."""

PAIRS = 10
"""Most pairs of confused classes on the page."""

EXAMPLES = 16
"""Most examples of an issue on the page; ``report.json`` lists more."""


@dataclass(frozen=True, eq=False)
class WorstMistakes:
    """The images of the mistakes with the highest confidence, in the order of `Report.mistakes`.

    Attributes:
        dataset: The ``n`` images.
        probabilities: Predicted probabilities, ``(n, classes)``, 0..1.
        overlays: Grad-CAM over each image, uint8 ``(n, height, width, 3)``; None if there is none.
        feature_map: The feature map that Grad-CAM shows, which says how coarse it is.
        no_grad_cam: Why there is no Grad-CAM for this network; else empty.
    """

    dataset: Dataset
    probabilities: np.ndarray
    overlays: np.ndarray | None
    feature_map: FeatureMap | None = None
    no_grad_cam: str = ""


def write_report(
    folder: str | os.PathLike[str],
    classifier: Classifier,
    splits: DatasetSplits,
    *,
    issues: Sequence[Issue] = (),
    training: TrainingSummary | None = None,
    source: DataSource | None = None,
    scored: Scored | None = None,
    no_thresholds: str = "",
) -> Report:
    """Score a classifier, and write ``report.json``, ``report.html`` and the page's figures as PNG, each atomically.

    Args:
        folder: Folder to write to; created if it is missing. Files of an earlier report are replaced.
        classifier: The classifier.
        splits: Images to score it on as ``test``, of its size and classes, that it was not trained on; its training
            images as ``train``, to count them, and other images that it was not trained on as ``validation``, to fit a
            temperature, where they are known.
        issues: Issues of the audit, to report them.
        training: The training, to show its curves and to name its places in commands; None shows what the classifier
            has recorded.
        source: Where the images of ``splits`` are, to name the place in commands; None where that is not known.
        scored: The classifier's probabilities for the test and validation images; None computes them here.
        no_thresholds: Why its training could not fit thresholds, where that is known.

    Returns:
        The scores, as in ``report.json``.

    Raises:
        ValueError: If the images do not fit the classifier, or there are none to score.
    """
    folder, test = Path(folder), splits["test"]
    scored = scored or score_images(
        classifier, {name: each for name, each in splits.by_name.items() if name != "train"}
    )
    probabilities = scored.probabilities["test"]
    scaling, reason = _temperature_scaling(classifier, scored, splits)
    report = replace(
        score(probabilities, test),
        temperature_scaling=scaling,
        temperature_reason=reason,
        issues=tuple(issues),
        from_features=scored.from_features,
        precision=classifier.precision,
        selective=_selective(classifier, scored, test),
        selective_reason=no_thresholds or classifier.why_none(prefix="--"),
    )
    training = training or TrainingSummary(classifier.dataset, classifier.recipe)
    results = Results(report, splits, training, source)
    worst = _worst_mistakes(report, classifier, test, probabilities)
    figures = report_figures(results)
    for name, figure in figures.items():
        save_figure(figure.with_title(), folder / f"{name}.png")
    save_figure(_draw_mistakes(report, worst), folder / "mistakes.png")
    page = report_page(results, worst, figures)
    write_text(folder / "report.json", report.to_json())
    write_text(folder / "report.html", page)
    return report


def report_page(results: Results, worst: WorstMistakes, figures: Mapping[str, ReportFigure]) -> str:
    """Return the page of a report, as HTML text.

    Args:
        results: The scores, with the images and the training.
        worst: The worst mistakes.
        figures: Those of `resnet50.reports.figures.report_figures`, by name.
    """
    report = results.report
    return render(
        "report.html.j2",
        report=report,
        training=results.training,
        baseline=results.baseline,
        steps=next_steps(results),
        issues=[_shown_issue(issue) for issue in report.issues],
        most_examples=EXAMPLES,
        check=check_command(results.source, results.training) if results.source else "",
        classes=sorted(report.classes.items(), key=lambda item: (not item[1].support, item[1].f1)),
        confused=confused_pairs(report)[:PAIRS],
        bins=BINS,
        refuse=REFUSE,
        figures={name: page_figure(figure.without_title(), figure.message) for name, figure in figures.items()},
        mistakes=_shown_mistakes(report, worst),
        feature_map=worst.feature_map,
        no_grad_cam=worst.no_grad_cam,
        color_bar=page_image(color_bar()),
    )


def _temperature_scaling(
    classifier: Classifier, scored: Scored, splits: DatasetSplits
) -> tuple[TemperatureScaling | None, str]:
    """Return the recommended temperature, or None and why none is recommended.

    It is that of the thresholds, whose images chose nothing else; of a classifier without any, that of all validation
    images.
    """
    if classifier.thresholds is not None:
        fitted = classifier.thresholds.temperature
    elif splits.validation is None:
        return None, "there are no validation images to fit a temperature on."
    else:
        fitted = find_temperature(scored.probabilities["validation"], splits.validation.labels)
    if fitted.reason or fitted.value == 1:
        return None, fitted.reason
    return score_temperature(fitted, scored.probabilities["test"], splits["test"].labels), ""


def _selective(classifier: Classifier, scored: Scored, test: Dataset) -> SelectiveScores | None:
    """Return the scores of prediction sets and of refusal; None for a classifier without thresholds for sets."""
    if classifier.thresholds is None:
        return None
    probabilities = scored.probabilities["test"]
    judged = classifier.thresholds.judge(probabilities, scored.distances)
    if judged.sets is None:
        return None
    return score_selective(
        judged,
        probabilities,
        test.labels,
        test.class_names,
        coverage=COVERAGE,
        calibration_images=len(classifier.thresholds.scores),
    )


def _worst_mistakes(report: Report, classifier: Classifier, test: Dataset, probabilities: np.ndarray) -> WorstMistakes:
    indices = [mistake.index for mistake in report.mistakes[:WORST]]
    dataset, chosen = test.select(indices), probabilities[indices]
    if not indices:
        return WorstMistakes(dataset, chosen, None)
    images = np.asarray(dataset.images)
    try:
        heats = heat_maps(classifier, images, chosen.argmax(axis=1))
    except ValueError as error:
        return WorstMistakes(dataset, chosen, None, no_grad_cam=str(error))
    overlays = np.stack([overlay(image, heat) for image, heat in zip(images, heats.values, strict=True)])
    return WorstMistakes(dataset, chosen, overlays, heats.feature_map)


def _draw_mistakes(report: Report, worst: WorstMistakes) -> Figure:
    title = f"{report.dataset}: {len(report.mistakes):,} of {report.images:,} test images are misclassified"
    note = f"Beside each image: Grad-CAM at {worst.feature_map}" if worst.feature_map else ""
    return draw_predictions(worst.dataset, worst.probabilities, title=title, beside=worst.overlays, note=note)


def _shown_issue(issue: Issue) -> dict[str, Any]:
    """Return an issue with the files of its first examples."""
    rows = [
        {"places": example, "remark": "; ".join(place.remark for place in example if place.remark)}
        for example in issue.examples[:EXAMPLES]
    ]
    return {"issue": issue, "rows": rows, "examples": len(issue.examples)}


def _shown_mistakes(report: Report, worst: WorstMistakes) -> list[dict[str, Any]]:
    """Return each of the worst mistakes with its image, and with its Grad-CAM if there is one."""
    overlays = [None] * len(worst.dataset) if worst.overlays is None else [page_image(each) for each in worst.overlays]
    return [
        {"mistake": mistake, "image": page_image(image), "grad_cam": grad_cam_image}
        for mistake, image, grad_cam_image in zip(report.mistakes, worst.dataset.images, overlays, strict=False)
    ]
