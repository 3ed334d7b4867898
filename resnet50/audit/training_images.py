"""Which images a training was given, as a table that knows them again wherever they lie."""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from resnet50._io.files import atomic_path
from resnet50._io.text import share_of
from resnet50.audit.issue import EXAMPLES, Issue, Place
from resnet50.data.dataset import Dataset
from resnet50.data.lazy_images import LazyImages

_COLUMNS = ("split", "path", "class", "sha256")


@dataclass(frozen=True)
class TrainingImage:
    """An image that a training was given.

    Attributes:
        split: ``"train"`` if the network learned from it, ``"validation"`` if it was held out of that, or ``"test"``.
        path: Where it came from, as its split says.
        class_name: Its class.
        sha256: SHA-256 of its pixels as the network was given them, RGB, row by row, in hexadecimal.
    """

    split: str
    path: str
    class_name: str
    sha256: str


def write_training_images(path: str | os.PathLike[str], splits: Mapping[str, Dataset]) -> None:
    """Write the images of a training as CSV, a row for each, atomically; images in a file are read one by one.

    Args:
        path: The file; an earlier one is replaced.
        splits: The images by part.
    """
    with (
        atomic_path(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        for split, dataset in splits.items():
            names = (dataset.class_names[label] for label in dataset.labels)
            for row in zip(dataset.paths, names, _hashes(dataset.images), strict=True):
                writer.writerow((split, *row))


def read_training_images(path: str | os.PathLike[str]) -> tuple[TrainingImage, ...]:
    """Read what `write_training_images` wrote.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it holds something else.
    """
    with Path(path).open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        try:
            header, *rows = csv.reader(file)
            if tuple(header) != _COLUMNS:
                raise ValueError(f"the columns {', '.join(header)}")
            return tuple(TrainingImage(*row) for row in rows)
        except (ValueError, TypeError, csv.Error) as error:  # TypeError: a row of another length
            raise ValueError(f"{path}: expected rows of {', '.join(_COLUMNS)}, found others ({error}).") from error


def copies(dataset: Dataset, seen: Iterable[TrainingImage]) -> Iterator[Issue]:
    """Find images that are to be scored although the network knows them.

    Args:
        dataset: The images to be scored, of the size that the network was trained with.
        seen: The images of its training; of those of its test part it knows nothing.

    Yields:
        One finding if there are any: the exact copies. Those that were resized or compressed once more are not found.
    """
    known = {one.sha256: one for one in seen if one.split != "test"}
    found = [(index, known[sha256]) for index, sha256 in enumerate(_hashes(dataset.images)) if sha256 in known]
    if found:
        words = "is an exact copy of one" if len(found) == 1 else "are exact copies of ones"
        yield Issue(
            kind="seen",
            severity="error",
            summary=f"{share_of(len(found), len(dataset), 'images to be scored')} {words} that the run learned from or "
            "validated on.",
            advice="Their score says nothing of new images: take out those that report.json names.",
            examples=tuple(
                (
                    Place(dataset.paths[index], "test", index, dataset.class_names[dataset.labels[index]]),
                    Place(one.path, class_name=one.class_name, remark=f"the same pixels, in the {one.split} part"),
                )
                for index, one in found[:EXAMPLES]
            ),
        )


def _hashes(images: np.ndarray | LazyImages) -> Iterator[str]:
    for image in images:
        yield hashlib.sha256(np.ascontiguousarray(image).data).hexdigest()
