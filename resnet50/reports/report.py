"""The report on a classifier, as files: numbers as JSON, figures as PNG, and a page that shows all of it.

The numbers themselves are those of `resnet50.metrics.scores`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from resnet50._io.files import write_text
from resnet50._io.text import are, have, plural
from resnet50.data.dataset import Dataset
from resnet50.inference.classifier import Classifier
from resnet50.metrics.calibration import BINS, Scaled, calibration_error, fit_temperature, mean_loss, reliability, scale
from resnet50.metrics.grad_cam import grad_cam
from resnet50.metrics.scores import Report, score
from resnet50.plots.evaluation import draw_balance, draw_reliability
from resnet50.plots.explain import overlay
from resnet50.plots.images import draw_predictions
from resnet50.plots.save import save_figure
from resnet50.plots.training import draw_confusion
from resnet50.reports.page import Page, PageImage

if TYPE_CHECKING:
    from resnet50.audit.issue import Issue

WORST = 24
"""Most mistakes that are shown as images; ``report.json`` names all."""

PAIRS = 10
"""Most pairs of classes that are named as confused."""


def write_report(
    folder: str | os.PathLike[str],
    classifier: Classifier,
    test: Dataset,
    *,
    training: Dataset | None = None,
    validation: Dataset | None = None,
    issues: Sequence[Issue] = (),
) -> Report:
    """Score a classifier and write ``report.json``, ``report.html`` and the page's figures as PNG, each atomically.

    Args:
        folder: Where to; made if it is missing. Files of an earlier report are replaced.
        classifier: The classifier.
        test: Images to score it on, which it has not learned from, of its size and classes.
        train: What it learned from, to be counted.
        validation: Images that it has not learned from either, to fit a temperature on.
        findings: What the audit found.

    Returns:
        The scores, as in ``report.json``.

    Raises:
        ValueError: If the images do not fit the classifier.
    """
    folder = Path(folder)
    probabilities = classifier.probabilities(test.images)
    scaled, no_temperature = _scaled(classifier, probabilities, test, validation)
    report = replace(score(probabilities, test), scaled=scaled, no_temperature=no_temperature, issues=tuple(issues))
    worst = test.select([mistake.index for mistake in report.mistakes[:WORST]])
    said = probabilities[[mistake.index for mistake in report.mistakes[:WORST]]]
    looks, why_not = _where_it_looks(classifier, np.asarray(worst.images), said.argmax(axis=1))
    splits = {"train": training, "validation": validation, "test": test}
    counts = {
        name: np.bincount(dataset.labels, minlength=len(test.class_names)).tolist()
        for name, dataset in splits.items()
        if dataset is not None
    }
    heading = f"{report.dataset}, {plural(report.images, 'test image')}"
    names = test.class_names
    figures = {
        "confusion": draw_confusion(np.array(report.confusion), names, title=f"{heading}: {report.accuracy:.1%} right"),
        "reliability": draw_reliability(
            report.reliability, title=f"{heading}: calibration error {report.calibration_error:.1%}"
        ),
        "balance": draw_balance(counts, names, title=f"{report.dataset}: images of each class"),
        "mistakes": draw_predictions(worst, said, title=f"{report.dataset}: the worst mistakes", beside=looks),
    }
    files = {name: folder / f"{name}.png" for name in figures}
    for name, figure in figures.items():
        save_figure(figure, files[name])
    page = _page(report, files, classifier, worst, looks, why_not)
    write_text(folder / "report.json", report.to_json())
    write_text(folder / "report.html", page.html())
    return report


def _scaled(
    classifier: Classifier, probabilities: np.ndarray, test: Dataset, validation: Dataset | None
) -> tuple[Scaled | None, str]:
    """Return what a temperature does, None where none was fitted, and why none is offered, "" where one is."""
    if validation is None:
        return None, "there were no validation images to fit one on."
    try:
        temperature = fit_temperature(classifier.probabilities(validation.images), validation.labels)
    except ValueError as error:
        return None, str(error)
    after = scale(probabilities, temperature)
    scaled = Scaled(
        temperature=temperature,
        images=len(validation),
        calibration_error=calibration_error(reliability(after, test.labels)),
        loss=mean_loss(after, test.labels),
    )
    if not scaled.at_limit:
        return scaled, ""
    hot = "how sure it is says next to nothing of whether it is right"
    cold = "next to nothing sets the class that it says apart from the others"
    return scaled, (
        f"the one that fits {len(validation):,} validation images best is {temperature:.2f}, where the search ends, "
        f"or lies beyond; with this classifier {hot if temperature > 1 else cold}."
    )


def _where_it_looks(classifier: Classifier, images: np.ndarray, said: np.ndarray) -> tuple[np.ndarray | None, str]:
    """Return Grad-CAM laid over each image, or None and the reason why this network has none."""
    if not len(images):
        return None, ""
    try:
        heats = grad_cam(classifier.model, images, said)
    except ValueError as error:
        return None, str(error)
    return np.stack([overlay(image, heat) for image, heat in zip(images, heats, strict=True)]), ""


def _page(
    report: Report,
    figures: Mapping[str, Path],
    classifier: Classifier,
    worst: Dataset,
    looks: np.ndarray | None,
    why_not: str,
) -> Page:
    recipe = classifier.recipe
    made_by = f"by the recipe {recipe['name']}, seed {recipe.get('seed')}" if "name" in recipe else "by hand"
    page = Page(
        f"{report.dataset}: {report.accuracy:.1%} of {plural(report.images, 'test image')} right",
        f"{plural(len(report.classes), 'class')}. The classifier was trained {made_by}, on {classifier.dataset}.",
    )
    _add_numbers(page, report)
    if report.issues:
        page.add_heading("What to know of the data")
        for issue in report.issues:
            page.add_note(issue.severity, issue.summary, issue.advice)
        page.add_paragraph("To see the images that are meant:")
        page.add_command("resnet50 check DATA")
    page.add_heading("Classes")
    _add_classes(page, report)
    page.add_figure(figures["balance"], "Bars: the number of images of each class in each part of the data.")
    page.add_heading("What it takes for what")
    page.add_figure(figures["confusion"], "Matrix: how many images of each class are taken for each class.")
    _add_pairs(page, report)
    page.add_heading("Is it right as often as it is sure?")
    _add_calibration(page, report)
    page.add_figure(figures["reliability"], "Bars: the share that is right against how sure the classifier is.")
    page.add_heading("The worst mistakes")
    _add_mistakes(page, report, worst, looks, why_not)
    return page


def _add_numbers(page: Page, report: Report) -> None:
    low, high = report.interval
    commonest = max(scores.support for scores in report.classes.values()) / report.images
    over = f"of the {plural(report.scored, 'class')}"
    if report.scored < len(report.classes):
        over = f"over the {plural(report.scored, 'class')} that {have(report.scored)} test images"
    page.add_facts(
        [
            ("accuracy", f"{report.accuracy:.1%}", f"95% interval {low:.1%} to {high:.1%}"),
            ("baseline", f"{commonest:.1%}", "always the commonest class"),
            *((f"top {k}", f"{share:.1%}", f"right class among the first {k}") for k, share in report.top_k.items()),
            ("macro F1", f"{report.macro_f1:.1%}", f"mean {over}"),
            ("balanced accuracy", f"{report.balanced_accuracy:.1%}", f"mean recall {over}"),
            ("loss", f"{report.loss:.3f}", "cross-entropy, nats"),
            ("calibration error", f"{report.calibration_error:.1%}", f"{report.chance_error:.1%} by chance alone"),
        ]
    )


def _add_classes(page: Page, report: Report) -> None:
    page.add_paragraph(
        "The weakest first. Precision: of the images called so, the share that are. Recall: of those that are, the "
        "share found. F1: their harmonic mean."
    )
    ordered = sorted(report.classes.items(), key=lambda item: (not item[1].support, item[1].f1))
    page.add_table(
        ("class", "F1", "precision", "recall", "images"),
        [
            (name, f"{of.f1:.1%}", f"{of.precision:.1%}", f"{of.recall:.1%}", f"{of.support:,}")
            if of.support
            else (name, "", "", "", "0")
            for name, of in ordered
        ],
    )


def _add_pairs(page: Page, report: Report) -> None:
    counts, names = np.array(report.confusion), list(report.classes)
    totals = counts.sum(axis=1)
    np.fill_diagonal(counts, 0)
    pairs = [divmod(int(cell), len(names)) for cell in np.argsort(-counts, axis=None, kind="stable")[:PAIRS]]
    rows = [
        (names[true], names[said], f"{counts[true, said]:,}", f"{counts[true, said] / totals[true]:.1%}")
        for true, said in pairs
        if counts[true, said]
    ]
    if rows:
        page.add_table(("true", "taken for", "images", "of the class"), rows, texts=2)


def _add_calibration(page: Page, report: Report) -> None:
    page.add_paragraph(
        f"How sure it is differs from how often it is right by {report.calibration_error:.1%} on average (expected "
        f"calibration error, {BINS} bins); a perfectly calibrated classifier would show {report.chance_error:.1%} by "
        "chance, on as many images."
    )
    scaled = report.scaled
    if scaled is None or report.no_temperature:
        page.add_paragraph(f"No temperature is offered: {report.no_temperature}")
        return
    words = (
        f"A temperature of {scaled.temperature:.2f}, fitted on {scaled.images:,} validation images, makes that "
        f"{scaled.calibration_error:.1%}, and the loss {scaled.loss:.3f} in place of {report.loss:.3f}"
    )
    if report.worse_scaled:
        page.add_paragraph(f"{words}. Both are worse, so that it is not advised.")
    else:
        page.add_paragraph(f"{words}; no answer changes. To have the classifier so:")
        page.add_command("resnet50 evaluate RUN --calibrate OUT.keras")


def _add_mistakes(page: Page, report: Report, worst: Dataset, looks: np.ndarray | None, why_not: str) -> None:
    if not report.mistakes:
        page.add_paragraph("There are none.")
        return
    count = len(report.mistakes)
    shown = f"{count:,} of {plural(report.images, 'image')} {are(count)} taken for another class"
    if len(worst) < count:
        shown += f"; here are the {len(worst)} of which it is surest, and report.json names all"
    heat = " Beside each, where it finds what speaks for its answer (Grad-CAM)." if looks is not None else ""
    page.add_paragraph(f"{shown}.{heat}")
    if why_not:
        page.add_note("note", f"Where it looks cannot be shown: {why_not}")
    groups = []
    for row, (image, mistake) in enumerate(zip(worst.images, report.mistakes, strict=False)):
        answer = f"said: {mistake.predicted}, {mistake.probability:.0%}"
        texts = (f"true: {mistake.true}", answer, mistake.path)
        groups.append([PageImage(image, texts)])
        if looks is not None:
            groups[-1] = [PageImage(image, texts[::2]), PageImage(looks[row], (answer,))]
    page.add_images(groups)
