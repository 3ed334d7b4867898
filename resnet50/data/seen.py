"""Which pictures a training was given, as a table that knows them again wherever they lie."""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from resnet50.data.finding import EXAMPLES, Finding, Place, of
from resnet50.data.rows import Rows
from resnet50.data.split import Split
from resnet50.files import atomic_path

_COLUMNS = ("part", "source", "class", "sha256")


@dataclass(frozen=True)
class Seen:
    """A picture that a training was given.

    Attributes:
        part: ``"training"`` if the network learned from it, ``"validation"`` if it was held out of that, or ``"test"``.
        source: Where it came from, as its split says.
        class_name: Its class.
        sha256: SHA-256 of its pixels as the network was given them, RGB, row by row, in hexadecimal.
    """

    part: str
    source: str
    class_name: str
    sha256: str


def write_seen(path: str | os.PathLike[str], splits: Mapping[str, Split]) -> None:
    """Write the pictures of a training as CSV, a row for each, atomically; images in a file are read one by one.

    Args:
        path: The file; an earlier one is replaced.
        splits: The pictures by part.
    """
    with (
        atomic_path(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        for part, split in splits.items():
            names = (split.class_names[label] for label in split.labels)
            for row in zip(split.sources, names, _hashes(split.images), strict=True):
                writer.writerow((part, *row))


def read_seen(path: str | os.PathLike[str]) -> tuple[Seen, ...]:
    """Read what `write_seen` wrote.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it holds something else.
    """
    with Path(path).open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        try:
            header, *rows = csv.reader(file)
            if tuple(header) != _COLUMNS:
                raise ValueError(f"the columns {', '.join(header)}")
            return tuple(Seen(*row) for row in rows)
        except (ValueError, TypeError, csv.Error) as error:  # TypeError: a row of another length
            raise ValueError(f"{path}: needed rows of {', '.join(_COLUMNS)}, found others ({error}).") from error


def copies(split: Split, seen: Iterable[Seen]) -> Iterator[Finding]:
    """Find pictures that are to be scored although the network knows them.

    Args:
        split: The pictures to be scored, of the size that the network was trained with.
        seen: The pictures of its training; of those of its test part it knows nothing.

    Yields:
        One finding if there are any: the exact copies. Those that were resized or compressed once more are not found.
    """
    known = {one.sha256: one for one in seen if one.part != "test"}
    found = [(index, known[sha256]) for index, sha256 in enumerate(_hashes(split.images)) if sha256 in known]
    if found:
        words = "is an exact copy of one" if len(found) == 1 else "are exact copies of ones"
        yield Finding(
            kind="seen",
            severity="error",
            summary=f"{of(len(found), len(split), 'pictures to be scored')} {words} that the run learned from or "
            "validated on.",
            advice="Their score says nothing of new pictures: take out those that report.json names.",
            examples=tuple(
                (
                    Place(split.sources[index], "test", index, split.class_names[split.labels[index]]),
                    Place(one.source, class_name=one.class_name, remark=f"the same pixels, in the {one.part} part"),
                )
                for index, one in found[:EXAMPLES]
            ),
        )


def _hashes(images: np.ndarray | Rows) -> Iterator[str]:
    for image in images:
        yield hashlib.sha256(np.ascontiguousarray(image).data).hexdigest()
