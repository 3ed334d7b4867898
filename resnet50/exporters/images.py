"""The images that an export is calibrated on and compared with the original on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from resnet50._io.fetch import Progress
from resnet50.data.dataset import Dataset
from resnet50.data.lazy_images import LazyImages
from resnet50.data.options import DEFAULT_OPTIONS, ReadOptions
from resnet50.data.splits import DatasetSplits
from resnet50.inference.calibration import CALIBRATION_IMAGES, Place, read_images, sample
from resnet50.inference.classifier import Classifier
from resnet50.training.held_out import halves

CHECK_IMAGES = 120
"""Most images to compare on."""


class FoundImages(NamedTuple):
    """Images for an export.

    Attributes:
        calibration: To calibrate on.
        check: To compare on.
        held_out: To fit thresholds on: validation images of the training, which are neither; None where there are none.
    """

    calibration: Dataset
    check: Dataset
    held_out: Dataset | None


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
        proportion; and the images that its training held out, or the half that chose nothing. The images of a source
        without splits are divided between the first two.

    Raises:
        ValueError: As `resnet50.inference.calibration.read_images`.
        FileNotFoundError: If the images are not there.
    """
    splits = read_images(classifier, source, name=name, run=run, options=options, progress=progress)
    if source is None and classifier.thresholds is not None:
        splits, held_out = _held_out(splits, classifier)
    else:
        held_out = None
    datasets = list(splits.by_name.values())  # train is the first, test the last
    if len(datasets) > 1:
        return FoundImages(sample(datasets[0], CALIBRATION_IMAGES), sample(datasets[-1], CHECK_IMAGES), held_out)
    images = sample(datasets[0], CALIBRATION_IMAGES + CHECK_IMAGES)
    indices = np.arange(len(images))
    is_check = indices % ((CALIBRATION_IMAGES + CHECK_IMAGES) // CHECK_IMAGES) == 0
    return FoundImages(images.select(indices[~is_check]), images.select(indices[is_check]), None)


def _held_out(splits: DatasetSplits, classifier: Classifier) -> tuple[DatasetSplits, Dataset | None]:
    """Hold out what the training did; return the splits, and the images for thresholds.

    Where the network was frozen, these chose the ``C`` of the linear probe, one of a few numbers; else half of them
    chose nothing.
    """
    recipe = classifier.recipe
    seed = int(recipe.get("seed", 0))
    try:
        splits = splits.hold_out(float(recipe.get("validation_split", 0)), seed=seed)
    except ValueError:
        return splits, None
    held_out = splits.validation
    if held_out is None or classifier.thresholds is None or classifier.thresholds.fitted_on == "out-of-fold":
        return splits, held_out
    if len(held_out) == len(classifier.thresholds.scores):  # nothing was chosen by them
        return splits, held_out
    return splits, halves(held_out, seed=seed)[1]


def batch_of_one(images: np.ndarray | LazyImages, index: int) -> np.ndarray:
    """Return an image as a batch, float32 ``(1, height, width, 3)``."""
    return np.asarray(images[index : index + 1], np.float32)


def batches_of_one(images: np.ndarray | LazyImages) -> Iterator[np.ndarray]:
    """Yield each image as a batch, float32 ``(1, height, width, 3)``."""
    return (batch_of_one(images, index) for index in range(len(images)))
