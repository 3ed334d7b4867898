"""The images that int8 is calibrated on: some of those that a model was trained on, or others like those to come."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from resnet50._io.fetch import Progress
from resnet50.data.dataset import Dataset
from resnet50.data.lazy_images import LazyImages
from resnet50.data.loading import read_splits
from resnet50.data.options import DEFAULT_OPTIONS, ReadOptions
from resnet50.data.splits import DatasetSplits
from resnet50.datasets.source import DataSource
from resnet50.inference.classifier import Classifier
from resnet50.inference.locate import Located
from resnet50.inference.recorded_images import load_training_images, read_source

Place = str | os.PathLike[str] | DataSource
"""Where images are: a folder, a CSV file, an h5 file, or a dataset."""

CALIBRATION_IMAGES = 300
"""Most images to calibrate on; the quantizers' own defaults are a few hundred."""


def read_images(
    classifier: Classifier,
    source: Place | None,
    *,
    name: str,
    run: Path | None = None,
    options: ReadOptions = DEFAULT_OPTIONS,
    progress: Progress | None = None,
) -> DatasetSplits:
    """Read images for a classifier, fitted to its size as for training.

    Args:
        classifier: The classifier.
        source: Where the images are; None for those that it was trained on.
        name: Its name, for errors.
        run: Folder of its run, which records where its images are.
        options: How to read a source that is a path.
        progress: Called while images are decoded, with the number that is done and their number.

    Returns:
        The splits that the source has.

    Raises:
        ValueError: If the model's images are not square; or if no source is given, and that of the training is unknown
            or holds other images now.
        FileNotFoundError: If the images are not there.
    """
    height, width = classifier.image_size
    if height != width:
        raise ValueError(
            f"{name}: expected a model for square images, to find images for it, got one for {width} x {height} "
            "pixels; give arrays of this size in Python."
        )
    if isinstance(source, str | os.PathLike):
        return read_splits(
            source, image_size=height, fit=classifier.fit, options=options, for_training=False, progress=progress
        )
    if source is not None:
        return source.load(height, fit=classifier.fit, progress=progress)
    return load_training_images(name, classifier, read_source(run) if run else None, progress=progress)


def calibration_images(
    located: Located, source: Place | None = None, *, progress: Progress | None = None
) -> np.ndarray | LazyImages:
    """Return images to calibrate a ``.keras`` file on.

    Args:
        located: The file, and its run if it has one.
        source: Where the images are; None for those that it was trained on.
        progress: Called while images are decoded, with the number that is done and their number.

    Returns:
        At most `CALIBRATION_IMAGES` of the first split, from each class in proportion; RGB uint8
        ``(n, height, width, 3)``.

    Raises:
        ValueError: If the images cannot be read, are not known, or have changed since the training.
        FileNotFoundError: If they are not there.
    """
    classifier = Classifier.load(located.model)
    try:
        splits = read_images(classifier, source, name=str(located.model), run=located.run, progress=progress)
    except (ValueError, FileNotFoundError) as error:
        if source is not None:
            raise
        kind = ValueError if isinstance(error, ValueError) else FileNotFoundError
        raise kind(
            f"{located.model}: expected images to calibrate int8 on, got none ({error}); give some to resnet50 predict "
            "once (--data), or as calibration in Python."
        ) from error
    return sample(next(iter(splits.by_name.values())), CALIBRATION_IMAGES).images


def sample(dataset: Dataset, count: int) -> Dataset:
    """Return ``count`` images, or all if there are fewer: from each class in proportion, always the same ones."""
    return dataset.select(sample_indices(dataset.labels, count))


def sample_indices(labels: np.ndarray, count: int) -> np.ndarray:
    """Return the indices of the images that `sample` takes, by their labels ``(n,)``."""
    order = np.random.default_rng(0).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    return order[np.linspace(0, len(labels) - 1, min(count, len(labels))).astype(int)]
