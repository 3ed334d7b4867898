"""Averaged predictions: of several runs, and over changes of an image; what they gain, beside what they cost."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from resnet50._io.fetch import Progress
from resnet50._io.files import check_writable
from resnet50._io.matrix_json import with_matrix
from resnet50.evaluation.evaluate import Evaluation, Source, check_request, open_trained
from resnet50.evaluation.scored_images import Trained, find_scored_images
from resnet50.inference.batching import forward_array
from resnet50.inference.classifier import Classifier
from resnet50.inference.runtimes import Network
from resnet50.metrics.paired import PairedDifference, paired_difference

_BATCH = 64

Change = Callable[[np.ndarray], np.ndarray]
"""From images ``(n, height, width, 3)`` to changed ones of the same shape."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AveragedEvaluation:
    """Averaged predictions, scored beside those that were averaged.

    Attributes:
        evaluation: The scores of the averaged predictions, with their report.
        accuracies: Accuracy of each run alone, without changes of the images, 0..1.
        difference: How the averaged predictions differ from the mean of the runs alone, image by image.
        passes: Forward passes for an image; one run alone needs one.
    """

    evaluation: Evaluation
    accuracies: tuple[float, ...]
    difference: PairedDifference
    passes: int

    def to_json(self) -> str:
        """Return the report as JSON, with what averaging gains and costs under ``averaged``."""
        report = self.evaluation.report
        gain = {"accuracies": self.accuracies, **asdict(self.difference), "passes": self.passes}
        return with_matrix({**asdict(replace(report, confusion=[])), "averaged": gain}, "confusion", report.confusion)


def evaluate_averaged(
    models: Sequence[str | os.PathLike[str]],
    source: Source | None = None,
    *,
    out: str | os.PathLike[str],
    tta: bool = False,
    progress: Progress | None = None,
) -> AveragedEvaluation:
    """Score the mean of several runs' probabilities, or of one run's over changes of the image, and write a report.

    Runs are averaged by the mean of their probabilities (Lakshminarayanan et al. 2017, arXiv:1612.01474). With ``tta``
    (test-time augmentation) each classifies several versions of an image: itself, its mirror image where the run was
    trained with mirrored images, and four shifts by half of the largest shift of its augmentation.

    Args:
        models: Folders of runs or ``.keras`` files: of the same classes, image size, fit and training images; one is
            enough with ``tta``.
        source: Images to score on, as for `resnet50.evaluate`; None for the dataset of the training.
        out: Folder of the report; an earlier one is replaced.
        tta: Whether to average over changes of each image.
        progress: Called while images are read, with the number done and the total.

    Returns:
        The scores of the averaged predictions, those of each run alone, and their paired difference.

    Raises:
        FileNotFoundError: If a model or the images are not there.
        PermissionError: If the report cannot be written.
        ValueError: If a model is named twice, the models do not fit each other or the images, there is nothing to
            average, or a run was trained without any change that ``tta`` can average over.
    """
    if len(models) < 2 and not tta:
        raise ValueError("expected at least two runs to average, or --tta with one, got one run; name more.")
    check_writable(Path(out) / "report.html")
    located = [check_request(model, source) for model in models]
    places = [each.model.resolve() for each in located]
    for model, place in zip(models, places, strict=True):
        if places.count(place) > 1:
            raise ValueError(f"{model}: expected different runs to average, got one run twice; name it once.")
    trained = [open_trained(each, "fp32", progress) for each in located]
    _check(models, trained)
    changes = [_changes(each.classifier) if tta else [_itself] for each in trained]
    if tta and all(len(each) == 1 for each in changes):
        raise ValueError(
            f"{models[0]}: expected a run that was trained with mirrored or shifted images for --tta, got one without; "
            "such changes may turn an image into one of another class."
        )
    images = find_scored_images(trained[0], source, None, progress)
    alone = [forward_array(each.classifier.network, images.test.images, batch_size=_BATCH) for each in trained]
    right = np.mean([rows.argmax(axis=1) == images.test.labels for rows in alone], axis=0)
    averaged = _averaged([each.classifier for each in trained], changes)
    _log.info("scoring the averaged predictions and writing the report")
    from resnet50.reports.report import write_report  # it loads matplotlib

    splits = replace(images.splits, validation=None)  # held out from one run, and learned from by others
    report = write_report(Path(out), averaged, splits, issues=images.issues, source=images.source)
    missed = {mistake.index for mistake in report.mistakes}
    together = np.array([index not in missed for index in range(len(images.test))])
    return AveragedEvaluation(
        evaluation=Evaluation(report, Path(out), averaged, images.issues),
        accuracies=tuple(float(np.mean(rows.argmax(axis=1) == images.test.labels)) for rows in alone),
        difference=paired_difference(right, together),
        passes=sum(map(len, changes)),
    )


def _averaged(classifiers: Sequence[Classifier], changes: Sequence[Sequence[Change]]) -> Classifier:
    """Return a classifier whose probabilities are the mean of these, each over its changes of an image."""
    first = classifiers[0]

    def compute(images: np.ndarray) -> np.ndarray:
        rows = [
            np.mean([classifier.network.predict_on_batch(change(images)) for change in own], axis=0)
            for classifier, own in zip(classifiers, changes, strict=True)
        ]
        return np.asarray(np.mean(rows, axis=0), np.float32)

    network = Network(compute, first.network.input_shape, first.network.output_shape)
    return replace(first, network=network, thresholds=None, metrics={})  # thresholds are those of one network


def _changes(classifier: Classifier) -> list[Change]:
    """Return the changes that a classifier's augmentation allows, no change first."""
    augmentation: Mapping[str, Any] = classifier.recipe.get("augmentation") or {}
    changes: list[Change] = [_itself]
    if augmentation.get("flip", False) is not False:
        changes.append(lambda images: images[:, :, ::-1])
    share = float(augmentation.get("shift") or 0)
    down, across = (round(share / 2 * length) for length in classifier.image_size)
    steps = [(down, 0), (-down, 0), (0, across), (0, -across)]
    return changes + [_shift(*step) for step in steps if any(step)]


def _itself(images: np.ndarray) -> np.ndarray:
    return images


def _shift(down: int, right: int) -> Change:
    """Return the change that moves images by some pixels and repeats their border."""

    def change(images: np.ndarray) -> np.ndarray:
        rows, columns = (np.arange(length) for length in images.shape[1:3])
        moved = images.take(rows - down, axis=1, mode="clip")
        return moved.take(columns - right, axis=2, mode="clip")

    return change


def _check(models: Sequence[str | os.PathLike[str]], trained: Sequence[Trained]) -> None:
    """Refuse models that cannot be averaged, or that were trained on each other's test images."""
    first = trained[0].classifier
    for model, each in zip(models[1:], trained[1:], strict=True):
        other = each.classifier
        for name, expected, got in (
            ("classes", first.class_names, other.class_names),
            ("image size", first.image_size, other.image_size),
            ("fit of images", first.fit, other.fit),
            ("training images", first.fingerprint, other.fingerprint),
        ):
            if expected != got:
                raise ValueError(
                    f"{model}: expected the same {name} as {models[0]}, got a difference; average runs of one dataset "
                    "and image size."
                )
