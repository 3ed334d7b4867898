"""The images of a training run as a table, and the copies of them among images that are to be scored."""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from resnet50._io.cells import harmless, restored
from resnet50._io.files import atomic_path
from resnet50._io.paths import describe_path
from resnet50._io.text import share_of, short
from resnet50.audit.issue import EXAMPLES, Issue, Place
from resnet50.data.dataset import Dataset
from resnet50.data.lazy_images import LazyImages

_COLUMNS = ("split", "path", "class", "sha256")
_OF_FILES = (*_COLUMNS[:3], "file_sha256")


@dataclass(frozen=True)
class TrainingImage:
    """An image of a training run.

    Attributes:
        split: ``"train"`` if the network learned from it, ``"validation"`` or ``"test"``.
        path: Where it came from (`Dataset.paths`).
        class_name: Its class.
        sha256: SHA-256 of its pixels at the network's input size, RGB, row by row, in hexadecimal.
        of_file: Whether that is the SHA-256 of its file instead, as with packed records, which are not decoded for it.
    """

    split: str
    path: str
    class_name: str
    sha256: str
    of_file: bool = False


def write_training_images(path: str | os.PathLike[str], splits: Mapping[str, Dataset]) -> None:
    """Write the images of a training run as CSV, a row for each, atomically; LazyImages are read one by one.

    Images of packed records are not decoded: the hashes are those of their files, in the column ``file_sha256``.

    Args:
        path: The file; an earlier one is replaced.
        splits: The images by split.
    """
    with (
        atomic_path(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        writer = csv.writer(file)
        of_files = all(_file_hashes(dataset) is not None for dataset in splits.values())
        writer.writerow(_OF_FILES if of_files else _COLUMNS)
        for split, dataset in splits.items():
            names = [harmless(name) for name in dataset.class_names]
            hashes = _hashes(dataset, of_files=of_files)
            for path, label, digest in zip(dataset.paths, dataset.labels.tolist(), hashes, strict=True):
                writer.writerow((split, harmless(path), names[label], digest))


def read_training_images(path: str | os.PathLike[str]) -> tuple[TrainingImage, ...]:
    """Read a file of `write_training_images`.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it is not such a file.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: expected the list of a run's images, got {describe_path(path)}; restore it.")
    with Path(path).open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        try:
            header, *rows = csv.reader(file)
            if tuple(header) not in (_COLUMNS, _OF_FILES):
                raise ValueError(f"the columns {short(', '.join(header))}")
            of_file = tuple(header) == _OF_FILES
            cells = [tuple(map(restored, row)) for row in rows]
            return tuple(TrainingImage(split, where, name, sha256, of_file) for split, where, name, sha256 in cells)
        except (ValueError, csv.Error) as error:  # ValueError: a row of another length, too
            raise ValueError(f"{path}: expected rows of {', '.join(_COLUMNS)}, got others ({error}).") from error


def copies(dataset: Dataset, training_images: Iterable[TrainingImage]) -> Iterator[Issue]:
    """Find images to be scored that are copies of training or validation images.

    Args:
        dataset: The images to be scored, of the network's input size.
        training_images: The images of its training run; those of its test split are ignored.

    Yields:
        One issue, if there are exact copies, or if that cannot be known. Resized or recompressed copies are not found.
    """
    known = {image.sha256: image for image in training_images if image.split != "test"}
    of_files = any(image.of_file for image in known.values())
    if of_files and _file_hashes(dataset) is None:
        yield Issue(
            kind="unknown-training",
            severity="warning",
            summary="The run knows its images by the SHA-256 of their files, since they were packed records; it is not "
            "known whether images to be scored are copies of them.",
            advice="Pack the images to be scored as records too: resnet50 pack SRC OUT --records.",
        )
        return
    hashes = _hashes(dataset, of_files=of_files)
    matches = [(index, known[sha256]) for index, sha256 in enumerate(hashes) if sha256 in known]
    if matches:
        copied = "is an exact copy of a training or validation image"
        if len(matches) > 1:
            copied = "are exact copies of training or validation images"
        yield Issue(
            kind="in-training",
            severity="error",
            summary=f"{share_of(len(matches), len(dataset), 'images to be scored')} {copied} of the run.",
            advice="Remove the images that report.json lists; their score says nothing about new images.",
            examples=tuple(
                (
                    Place(dataset.paths[index], "test", index, dataset.class_names[dataset.labels[index]]),
                    Place(
                        image.path,
                        class_name=image.class_name,
                        remark=f"same {'file' if of_files else 'pixels'}, {image.split} split",
                    ),
                )
                for index, image in matches[:EXAMPLES]
            ),
        )


def _file_hashes(dataset: Dataset) -> np.ndarray | None:
    return dataset.images.file_hashes if isinstance(dataset.images, LazyImages) else None


def _hashes(dataset: Dataset, *, of_files: bool) -> Iterator[str]:
    """Return the SHA-256 of each image, or of each image file."""
    files = _file_hashes(dataset)
    if of_files and files is not None:
        yield from (row.tobytes().hex() for row in files)
    else:
        for image in dataset.images:
            yield hashlib.sha256(np.ascontiguousarray(image).data).hexdigest()
