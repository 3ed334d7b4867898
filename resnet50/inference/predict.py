"""From image files to class names."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from resnet50.data.folder import images_below
from resnet50.inference.batching import forward
from resnet50.inference.classifier import Classifier


@dataclass(frozen=True)
class Prediction:
    """What the model says of one file.

    Attributes:
        path: The file.
        top: The most probable classes and their probabilities, 0..1, best first; empty if the file cannot be read.
        error: Why the file cannot be read, or None.
    """

    path: Path
    top: tuple[tuple[str, float], ...]
    error: str | None = None


def find_images(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Replace each folder by the image files in it and below, in sorted order; keep files as they are.

    Files that are images by their names are the same as for training: hidden ones are passed over, and those that
    cannot be decoded here are there, so that the error names them.

    Raises:
        ValueError: If a folder holds no image.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        found += [path.joinpath(*inside) for inside in images_below(path)] if path.is_dir() else [path]
    return found


def predict(
    classifier: Classifier, paths: Sequence[Path], *, top: int = 3, batch_size: int = 32
) -> Iterator[Prediction]:
    """Classify any number of image files; one that cannot be read gets its reason and stops nothing.

    Args:
        classifier: A trained classifier.
        paths: Image files.
        top: Number of classes to name for each.
        batch_size: Images in one forward pass; twice as many are read ahead.

    Yields:
        A prediction for each file, in order.

    Raises:
        ValueError: If ``top`` or the batch size is not positive.
    """
    if top < 1:
        raise ValueError(f"top must be at least 1, got {top}.")
    for path, row in zip(paths, forward(classifier.model, paths, batch_size=batch_size), strict=True):
        if isinstance(row, str):
            yield Prediction(path, (), row)
        else:
            best = np.argsort(-row, kind="stable")[:top]  # of equals the first, as argmax has it
            yield Prediction(path, tuple((classifier.class_names[k], float(row[k])) for k in best))
