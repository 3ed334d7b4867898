"""Corrections of labels, in a file of their own: what to relabel and what to leave out. No image file is touched."""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from resnet50._io.cells import restored
from resnet50._io.limits import METADATA_BYTES
from resnet50._io.paths import describe_path
from resnet50._io.text import listed, plural, printable, short
from resnet50.data.dataset import Dataset
from resnet50.data.listing import Listing

COLUMNS = ("path", "label", "action", "new_label")
"""Columns of a file of corrections; the label is the one that the image had."""

KEEP, RELABEL, LEAVE_OUT = "keep", "relabel", "leave out"

ACTIONS = (KEEP, RELABEL, LEAVE_OUT)
"""What a row says: the label is right, the image is of ``new_label``, or it is not used."""


@dataclass(frozen=True)
class Correction:
    """One row of a file of corrections.

    Attributes:
        path: The image (`Dataset.paths`).
        label: Its class in the source, before the correction.
        action: One of `ACTIONS`.
        new_label: Its right class, for `RELABEL`; else "".
    """

    path: str
    label: str
    action: str
    new_label: str = ""


@dataclass(frozen=True)
class Corrections:
    """The corrections of a file.

    Attributes:
        path: The file.
        sha256: SHA-256 of its bytes, in hexadecimal.
        rows: Its rows, each of another image.
    """

    path: str
    sha256: str
    rows: tuple[Correction, ...]

    @property
    def decided(self) -> frozenset[str]:
        """The images (`Dataset.paths`) whose label somebody has confirmed or changed."""
        return frozenset(row.path for row in self.rows if row.action != LEAVE_OUT)

    def describe(self) -> str:
        """Return one line on what they change, such as ``2 images relabeled, 1 left out, 5 confirmed``."""
        counts = {action: [row.path for row in self.rows if row.action == action] for action in ACTIONS}
        words = [
            f"{plural(len(counts[RELABEL]), 'image')} relabeled{_named(counts[RELABEL])}",
            f"{len(counts[LEAVE_OUT]):,} left out{_named(counts[LEAVE_OUT])}",
            f"{len(counts[KEEP]):,} confirmed",
        ]
        return f"{printable(self.path)}: {', '.join(words)}"


def _named(paths: Sequence[str]) -> str:
    return f" ({listed(paths, most=3)})" if paths else ""


def read_corrections(path: str | os.PathLike[str]) -> Corrections:
    """Read a file of corrections: CSV in UTF-8 with the columns of `COLUMNS`.

    Raises:
        FileNotFoundError: If it is not there.
        ValueError: If it is not such a file, a row has no such action or no new label, or two are of one image.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: expected a file of corrections, got {describe_path(path)}; name another.")
    with Path(path).open("rb") as file:
        content = file.read(METADATA_BYTES + 1)
    if len(content) > METADATA_BYTES:
        raise ValueError(f"{path}: expected corrections of at most {METADATA_BYTES >> 20} MiB, got more.")
    try:
        text = content.decode("utf-8-sig", "surrogateescape")
        header, *rows = [row for row in csv.reader(io.StringIO(text, newline="")) if row] or [[]]
    except csv.Error as error:
        raise ValueError(f"{path}: expected a table in CSV, got another file ({error}).") from error
    if tuple(header) != COLUMNS:
        raise ValueError(
            f"{path}: expected the columns {', '.join(COLUMNS)}, got {listed(header) or 'none'}; save it from the "
            "cleaning page (resnet50 check --clean)."
        )
    found = {}
    for number, cells in enumerate(rows, start=2):
        row = _correction(cells, f"{path}, row {number}")
        if row.path in found:
            another = short(row.path)
            raise ValueError(
                f"{path}, row {number}: expected one row for each image, got another of {another}; remove one."
            )
        found[row.path] = row
    return Corrections(os.fspath(path), hashlib.sha256(content).hexdigest(), tuple(found.values()))


def _correction(cells: Sequence[str], where: str) -> Correction:
    if len(cells) != len(COLUMNS):
        raise ValueError(f"{where}: expected {len(COLUMNS)} fields, got {len(cells)}; correct the row.")
    row = Correction(*map(restored, cells))
    if row.action not in ACTIONS:
        raise ValueError(
            f"{where}: expected an action, one of {', '.join(ACTIONS)}, got {short(row.action)}; correct it."
        )
    if bool(row.new_label) != (row.action == RELABEL):
        expected = "a new label" if row.action == RELABEL else f"no new label with {row.action!r}"
        got = short(row.new_label) if row.new_label else "none"
        raise ValueError(f"{where}: expected {expected}, got {got}; correct the row.")
    if row.action == RELABEL and row.new_label == row.label:
        raise ValueError(f"{where}: expected another new label than {short(row.label)}, got the same; write {KEEP}.")
    return row


def correct_datasets(datasets: Sequence[Dataset], corrections: Corrections) -> list[Dataset]:
    """Return the datasets with corrected labels, without the images that are left out.

    Raises:
        ValueError: If a row is of no image, of several, of one with another label, or of a class that does not exist.
    """
    names = datasets[0].class_names
    labels = [names[label] for dataset in datasets for label in dataset.labels]
    paths = [path for dataset in datasets for path in dataset.paths]
    used, corrected = _correct(paths, labels, names, corrections)
    numbers = np.split(np.arange(len(paths)), np.cumsum([len(dataset) for dataset in datasets])[:-1])
    return [
        replace(dataset, labels=corrected[of_split]).select(np.flatnonzero(used[of_split]))
        if not used[of_split].all()
        else replace(dataset, labels=corrected[of_split])
        for dataset, of_split in zip(datasets, numbers, strict=True)
    ]


def correct_listing(listing: Listing, corrections: Corrections) -> Listing:
    """Return a listing with corrected labels, without the images that are left out; it raises as `correct_datasets`."""
    labels = [listing.class_names[entry.label] for entry in listing.entries]
    paths = [listing.name_of(entry) for entry in listing.entries]
    used, corrected = _correct(paths, labels, listing.class_names, corrections)
    entries = (replace(entry, label=int(label)) for entry, label in zip(listing.entries, corrected, strict=True))
    return replace(listing, entries=tuple(entry for entry, use in zip(entries, used, strict=True) if use))


def _correct(
    paths: Sequence[str], labels: Sequence[str], class_names: Sequence[str], corrections: Corrections
) -> tuple[np.ndarray, np.ndarray]:
    """Return whether each image is used, bool ``(n,)``, and its label, int64 ``(n,)``."""
    index = {path: number for number, path in enumerate(paths)}
    if unknown := [row.path for row in corrections.rows if row.path not in index]:
        raise ValueError(
            f"{corrections.path}: expected rows of images of this source, got {len(unknown):,} that match none: "
            f"{listed(unknown, most=3)}; remove these rows, or give the source that they were made for."
        )
    count = Counter(paths)
    if ambiguous := [row.path for row in corrections.rows if count[row.path] > 1]:
        raise ValueError(
            f"{corrections.path}: expected rows of one image each, got {len(ambiguous):,} with a path that several "
            f"images of this source have: {listed(ambiguous, most=3)}; give each image a path of its own."
        )
    number_of = {name: number for number, name in enumerate(class_names)}
    used = np.ones(len(paths), bool)
    corrected = np.array([number_of[label] for label in labels], np.int64)
    for row in corrections.rows:
        place, where = index[row.path], f"{corrections.path}: {printable(row.path)}"
        if labels[place] != row.label:
            raise ValueError(
                f"{where}: expected the label {printable(row.label)}, got {printable(labels[place])} in the source; it "
                "has changed since: remove the row, or correct it."
            )
        if row.action == RELABEL and row.new_label not in number_of:
            raise ValueError(
                f"{where}: expected a new label that is a class, {listed(class_names, most=10)}, got "
                f"{short(row.new_label)}; correct the row."
            )
        used[place] = row.action != LEAVE_OUT
        if row.action == RELABEL:
            corrected[place] = number_of[row.new_label]
    return used, corrected
