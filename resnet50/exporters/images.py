"""The images that an export is calibrated on and compared with the original on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from resnet50._io.fetch import Progress
from resnet50.data.dataset import Dataset
from resnet50.data.lazy_images import LazyImages
from resnet50.data.loading import read_splits
from resnet50.data.options import DEFAULT_OPTIONS, ReadOptions
from resnet50.datasets.source import DataSource
from resnet50.inference.classifier import Classifier
from resnet50.training.recorded_images import load_training_images
from resnet50.training.run import RunDirectory

CALIBRATION_IMAGES = 300
"""Most images to calibrate on; the quantizers' own defaults are a few hundred."""

CHECK_IMAGES = 120
"""Most images to compare on."""


def find_images(
    classifier: Classifier,
    *,
    name: str,
    run: Path | None = None,
    source: str | os.PathLike[str] | DataSource | None = None,
    options: ReadOptions = DEFAULT_OPTIONS,
    progress: Progress | None = None,
) -> tuple[Dataset, Dataset]:
    """Find images to calibrate on, from the training images, and others to compare on.

    Args:
        classifier: The classifier to export.
        name: Name of the classifier, for errors.
        run: Folder of its run, which records where its images are.
        source: Where the images are; None for those that the classifier was trained on.
        options: How to read a source that is a path.
        progress: Called while images are decoded, with the number that is done and their number.

    Returns:
        At most `CALIBRATION_IMAGES` of the first split and at most `CHECK_IMAGES` of the last, from each class in
        proportion. The images of a source without splits are divided between the two.

    Raises:
        ValueError: If the model's images are not square; or if no source is given, and that of the training is unknown
            or holds other images now.
        FileNotFoundError: If the images are not there.
    """
    height, width = classifier.image_size
    if height != width:
        raise ValueError(
            f"{name}: expected a model for square images, to find images for it, got one for {width} x {height} "
            "pixels; call resnet50.export in Python, with check and calibration of this size."
        )
    if isinstance(source, str | os.PathLike):
        splits = read_splits(
            source, image_size=height, fit=classifier.fit, options=options, for_training=False, progress=progress
        )
    elif source is not None:
        splits = source.load(height, fit=classifier.fit, progress=progress)
    else:
        record = RunDirectory(run).read() if run else None
        splits = load_training_images(name, classifier, record, progress=progress)
    datasets = list(splits.by_name.values())  # train is the first, test the last
    if len(datasets) > 1:
        return sample(datasets[0], CALIBRATION_IMAGES), sample(datasets[-1], CHECK_IMAGES)
    images = sample(datasets[0], CALIBRATION_IMAGES + CHECK_IMAGES)
    indices = np.arange(len(images))
    is_check = indices % ((CALIBRATION_IMAGES + CHECK_IMAGES) // CHECK_IMAGES) == 0
    return images.select(indices[~is_check]), images.select(indices[is_check])


def sample(dataset: Dataset, count: int) -> Dataset:
    """Return ``count`` images, or all if there are fewer: from each class in proportion, always the same ones."""
    order = np.random.default_rng(0).permutation(len(dataset))
    order = order[np.argsort(dataset.labels[order], kind="stable")]
    return dataset.select(order[np.linspace(0, len(dataset) - 1, min(count, len(dataset))).astype(int)])


def batch_of_one(images: np.ndarray | LazyImages, index: int) -> np.ndarray:
    """Return an image as a batch, float32 ``(1, height, width, 3)``."""
    return np.asarray(images[index : index + 1], np.float32)


def batches_of_one(images: np.ndarray | LazyImages) -> Iterator[np.ndarray]:
    """Yield each image as a batch, float32 ``(1, height, width, 3)``."""
    return (batch_of_one(images, index) for index in range(len(images)))
