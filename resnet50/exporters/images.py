"""The images that an export is calibrated on and compared with the original on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from resnet50._io.fetch import Progress
from resnet50.data.dataset import Dataset
from resnet50.data.lazy_images import LazyImages
from resnet50.data.options import DEFAULT_OPTIONS, ReadOptions
from resnet50.data.splits import DatasetSplits
from resnet50.inference.calibration import CALIBRATION_IMAGES, Place, read_images, sample, sample_indices
from resnet50.inference.classifier import Classifier
from resnet50.training.held_out import halves

CHECK_IMAGES = 120
"""Most images to compare on."""

MOST_TRAINING_IMAGES = 1000
"""Most training images that thresholds are fitted on, out of fold."""


@dataclass(frozen=True, eq=False)
class TrainingImages:
    """Training images to fit thresholds on, out of fold, where the network was frozen and learned from none of them.

    Attributes:
        train: All training images.
        near_duplicates: Number of each, which near-duplicates share, int64 ``(n,)``.
        indices: Those that are used, int64 ``(k,)``: at most `MOST_TRAINING_IMAGES`.
        calibrated: Whether an export is calibrated on them, bool ``(k,)``: at most half of them.
    """

    train: Dataset
    near_duplicates: np.ndarray
    indices: np.ndarray
    calibrated: np.ndarray

    @property
    def chosen(self) -> Dataset:
        """The images that are used."""
        return self.train.select(self.indices)


class FoundImages(NamedTuple):
    """Images for an export.

    Attributes:
        calibration: To calibrate on.
        check: To compare on.
        own: To fit thresholds on: those of the training that chose nothing about the classifier; None where there are
            none.
    """

    calibration: Dataset
    check: Dataset
    own: Dataset | TrainingImages | None


def find_images(
    classifier: Classifier,
    *,
    name: str,
    run: Path | None = None,
    source: Place | None = None,
    options: ReadOptions = DEFAULT_OPTIONS,
    progress: Progress | None = None,
) -> FoundImages:
    """Find images to calibrate on, from the training images, and others to compare on and to fit thresholds on.

    Args:
        classifier: The classifier to export.
        name: Name of the classifier, for errors.
        run: Folder of its run, which records where its images are.
        source: Where the images are; None for those that the classifier was trained on.
        options: How to read a source that is a path.
        progress: Called while images are decoded, with the number that is done and their number.

    Returns:
        At most `CALIBRATION_IMAGES` of the first split and at most `CHECK_IMAGES` of the last, from each class in
        proportion; and the images that its training held out and chose nothing by, or, for a linear probe, its training
        images. The images of a source without splits are divided between the first two.

    Raises:
        ValueError: As `resnet50.inference.calibration.read_images`.
        FileNotFoundError: If the images are not there.
    """
    splits = read_images(classifier, source, name=name, run=run, options=options, progress=progress)
    own: Dataset | TrainingImages | None = None
    if source is None and classifier.thresholds is not None:
        splits, own = _own_images(splits, classifier)
    datasets = list(splits.by_name.values())  # train is the first, test the last
    if len(datasets) > 1:
        calibration = sample(datasets[0], CALIBRATION_IMAGES)
        if isinstance(own, TrainingImages):
            calibration = own.chosen.select(np.flatnonzero(own.calibrated))
        return FoundImages(calibration, sample(datasets[-1], CHECK_IMAGES), own)
    images = sample(datasets[0], CALIBRATION_IMAGES + CHECK_IMAGES)
    indices = np.arange(len(images))
    is_check = indices % ((CALIBRATION_IMAGES + CHECK_IMAGES) // CHECK_IMAGES) == 0
    return FoundImages(images.select(indices[~is_check]), images.select(indices[is_check]), None)


def _own_images(splits: DatasetSplits, classifier: Classifier) -> tuple[DatasetSplits, Dataset | TrainingImages | None]:
    """Hold out what the training did; return the splits, and the images for thresholds.

    All validation images chose the ``C`` of a linear probe. Otherwise half of them chose nothing, or all.
    """
    recipe = classifier.recipe
    seed = int(recipe.get("seed", 0))
    try:
        splits = splits.hold_out(float(recipe.get("validation_split", 0)), seed=seed)
    except ValueError:
        return splits, None
    if classifier.thresholds is None:
        return splits, None
    if classifier.thresholds.fitted_on == "out-of-fold":
        return splits, _training_images(splits)
    held_out = splits.validation
    if held_out is None or len(held_out) == len(classifier.thresholds.scores):  # nothing was chosen by them
        return splits, held_out
    return splits, halves(held_out, seed=seed)[1]


def _training_images(splits: DatasetSplits) -> TrainingImages:
    train = splits["train"]
    indices = np.sort(sample_indices(train.labels, MOST_TRAINING_IMAGES))
    calibrated = np.zeros(len(indices), bool)
    calibrated[sample_indices(train.labels[indices], min(CALIBRATION_IMAGES, len(indices) // 2))] = True
    return TrainingImages(train, splits.near_duplicates.groups[: len(train)], indices, calibrated)


def batch_of_one(images: np.ndarray | LazyImages, index: int) -> np.ndarray:
    """Return an image as a batch, float32 ``(1, height, width, 3)``."""
    return np.asarray(images[index : index + 1], np.float32)


def batches_of_one(images: np.ndarray | LazyImages) -> Iterator[np.ndarray]:
    """Yield each image as a batch, float32 ``(1, height, width, 3)``."""
    return (batch_of_one(images, index) for index in range(len(images)))
