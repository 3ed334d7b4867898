"""Classify images: the most probable classes of each, or the reason why it cannot be read."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from resnet50.data.folder_scan import scan_folder
from resnet50.data.images import ImageLike
from resnet50.data.left_out import LeftOut
from resnet50.inference.batching import forward_images
from resnet50.inference.classifier import Classifier
from resnet50.inference.prediction import Prediction, check_top
from resnet50.uncertainty.shares import COVERAGE, REFUSE, check_share


class FoundImages(NamedTuple):
    """The images of files and folders.

    Attributes:
        paths: The image files.
        left_out: What else the folders hold, by the folders directly below them.
    """

    paths: list[Path]
    left_out: tuple[LeftOut, ...]


def find_images(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Replace each folder by the image files in it and below, in sorted order; leave files as they are.

    Files count as images by the same rule as for training: hidden files and figures of this library are skipped, and
    image formats that cannot be decoded are included, so that an error names them.

    Raises:
        ValueError: If a folder holds no image.
    """
    return search_images(paths).paths


def search_images(paths: Iterable[str | os.PathLike[str]]) -> FoundImages:
    """Find images like `find_images`, and count what else the folders hold.

    Raises:
        ValueError: If a folder holds no image.
    """
    images: list[Path] = []
    left_out: list[LeftOut] = []
    for path in map(Path, paths):
        if path.is_dir():
            scan = scan_folder(path)
            images += [path.joinpath(*inside) for inside in scan.images]
            left_out += scan.left_out(1)
        else:
            images.append(path)
    return FoundImages(images, tuple(left_out))


def predict(
    classifier: Classifier,
    images: Iterable[ImageLike],
    *,
    top: int = 3,
    batch_size: int = 32,
    coverage: float | None = COVERAGE,
    refuse: float | None = REFUSE,
) -> Iterator[Prediction]:
    """Classify any number of images. An image that cannot be read gets an error; the others are classified.

    Each image is fitted to the model's size as for training. At most two batches are read ahead, so that ``images`` may
    be a generator that never ends.

    Args:
        classifier: A trained classifier.
        images: Paths, encoded bytes, open binary files, Pillow images, or pixels 0..255 of any size ((height, width)
            gray, or (height, width, 3 or 4)), mixed; see `resnet50.data.images.fit_image`. `find_images` finds the
            files of folders.
        top: Number of classes to name for each image.
        batch_size: Images in one forward pass.
        coverage: Share of images whose class is to be in the prediction set, above 0 and below 1; None for no sets.
        refuse: Share of images like the training's that may be refused, above 0 and below 1; None for no refusal.

    Yields:
        A prediction for each image, in order, with set and refusal where the classifier has thresholds.

    Raises:
        ValueError: If ``top`` or the batch size is not positive, a share is not between 0 and 1, or ``images`` is a
            single image.
    """
    check_top(top)
    for share, name in ((coverage, "coverage"), (refuse, "refuse")):
        if share is not None:
            check_share(share, name)
    network = classifier.network if coverage is None and refuse is None else classifier.answering
    results = enumerate(forward_images(network, images, fit=classifier.fit, batch_size=batch_size))
    while batch := list(islice(results, max(batch_size, 1))):  # a batch size of 0 is refused below
        rows = [row for _, (_, row) in batch if not isinstance(row, str)]
        doubts = iter(classifier.doubts(np.stack(rows), coverage=coverage, refuse=refuse) if rows else ())
        for index, (path, row) in batch:
            if isinstance(row, str):
                yield Prediction(index, path, (), row)
            else:
                yield Prediction.of(index, path, row, classifier.class_names, top=top, doubt=next(doubts))
