"""From picture files to class names."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from resnet50.classifier import Classifier
from resnet50.data.images import SUFFIXES, read_image


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


def find_pictures(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Replace each folder by the picture files in it and below, in sorted order; keep files as they are.

    Raises:
        ValueError: If a folder holds no picture.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
            if not inside:
                raise ValueError(f"{path}: needed a folder with pictures ({', '.join(SUFFIXES)}), found none in it.")
            found += inside
        else:
            found.append(path)
    return found


def predict(
    classifier: Classifier, paths: Sequence[Path], *, top: int = 3, batch_size: int = 32
) -> Iterator[Prediction]:
    """Classify picture files, a batch at a time; a file that cannot be read gets its reason and stops nothing.

    Args:
        classifier: A trained classifier.
        paths: Picture files.
        top: Number of classes to name for each.
        batch_size: Pictures in one forward pass, and in memory at a time.

    Yields:
        A prediction for each file, in order.

    Raises:
        ValueError: If ``top`` or the batch size is not positive.
    """
    if top < 1:
        raise ValueError(f"top must be at least 1, got {top}.")
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}.")
    height, width = classifier.side
    for start in range(0, len(paths), batch_size):
        some = paths[start : start + batch_size]
        images: list[np.ndarray] = []
        errors: dict[Path, str] = {}
        for path in some:
            try:
                images.append(read_image(path, height=height, width=width))
            except (ValueError, FileNotFoundError) as error:
                errors[path] = str(error)
        rows = iter(classifier.probabilities(np.stack(images), batch_size=batch_size) if images else ())
        for path in some:
            if path in errors:
                yield Prediction(path, (), errors[path])
            else:
                row = next(rows)
                best = np.argsort(-row, kind="stable")[:top]  # of equals the first, as argmax has it
                yield Prediction(path, tuple((classifier.class_names[k], float(row[k])) for k in best))
