"""Read the images of a source, with their classes, splits and groups, from a CSV file."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from resnet50._io.cells import restored
from resnet50._io.paths import is_url
from resnet50._io.text import are, listed, printable, short
from resnet50.data.labeled_file import FoundFiles, LabeledFile, class_name, split_name
from resnet50.data.table_paths import FileFinder

_MEANINGS = {"path": "images' paths", "label": "classes", "split": "splits", "group": "groups"}

# Other names of columns; those of the second tuple are asked only where none of the first is there.
_ALIASES = {
    "path": (
        ("file", "filename", "file_name", "filepath", "file_path", "image", "image_name", "image_path", "img"),
        ("id", "image_id"),
    ),
    "label": (("class", "class_name", "category", "target"), ()),
}

_SHOWN = 40  # characters of a column's name in a message


def files_in_table(path: Path) -> FoundFiles:
    """Read a CSV file with the columns ``path`` and ``label``, and optionally ``split`` and ``group``.

    Args:
        path: The file; the paths in it are relative to its folder, and found as `FileFinder` describes.

    Raises:
        ValueError: If the file is not as `resnet50.data.listing.list_images` describes, names an image twice or with
            several labels, or names no file that exists.
    """
    files: list[LabeledFile] = []
    rows: dict[str, tuple[int, str]] = {}  # line and label of each path
    finder = FileFinder(path.parent)
    for line, row in _rows(path):
        where = f"{path}, line {line}"
        for column in ("path", "label"):
            if not row[column]:
                raise ValueError(f"{where}: expected a {column}, got an empty field.")
        split = split_name(row.get("split"), where=where)
        image = _find(finder, row["path"], where)
        first, label = rows.setdefault(os.path.normcase(os.path.normpath(image)), (line, row["label"]))
        if first != line:
            _refuse_again(where, row, first, label)
        files.append(LabeledFile(str(image), class_name(row["label"]), split, row.get("group", "")))
    if not files:
        raise ValueError(f"{path}: expected a row for each image, got a header alone.")
    if not _any_exists(files):
        raise ValueError(
            f"{path}: expected paths relative to the folder {path.parent}, got {len(files):,} that do not exist, "
            f"such as {printable(files[0].path)}{_advice(path.parent, files[0].path)}."
        )
    _check_one_class(path, files)
    return FoundFiles(files)


def _refuse_again(where: str, row: dict[str, str], first: int, label: str) -> NoReturn:
    labels = "" if label == row["label"] else f" with the label {label}, and here {row['label']}; keep one"
    raise ValueError(
        f"{where}: expected each image once, got {printable(row['path'])}, as in line {first}{printable(labels)}."
    )


def _find(finder: FileFinder, text: str, where: str) -> Path:
    if "://" in text and is_url(text):  # "a:/b" may be a folder
        raise ValueError(f"{where}: expected the path of a file, got the URL {printable(text)}; download the images.")
    try:
        return finder.find(text)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _advice(folder: Path, image: Path) -> str:
    """Return where the files are, if they are all in one folder below."""
    if image.is_relative_to(folder):
        text = str(image.relative_to(folder))
        for below in sorted(each for each in folder.iterdir() if each.is_dir()):
            if FileFinder(below).find(text).is_file():
                return f"; it is in {printable(below.name)}: move the CSV file there"
    return ""


def _check_one_class(path: Path, files: Sequence[LabeledFile]) -> None:
    """Refuse labels that name several classes, such as ``cats|dogs`` where ``cats`` is a class."""
    names = {file.class_name for file in files}
    for name in sorted(names):
        known = _parts(name, "|;") & names
        if not known and (parts := _parts(name, ",")) <= names:  # a comma may also belong to a name
            known = parts
        if known:
            raise ValueError(
                f"{path}: expected one class in each label, got {short(printable(name))}, though "
                f"{listed(sorted(known))} {are(known)} in other rows; keep one class for each image."
            )


def _parts(name: str, separators: str) -> set[str]:
    """Return what the separators separate; nothing if there are none."""
    return {part.strip() for part in re.split(f"[{separators}]", name)} - {name}


def other_columns(path: Path) -> dict[str, int]:
    """Return the columns of a CSV file that `files_in_table` does not use, each with its number of different values."""
    values: dict[str, set[str]] = {}
    for _, row in _rows(path):
        for column in row.keys() - set(_MEANINGS):
            values.setdefault(column, set()).add(row[column])
    return {column: len(different) for column, different in sorted(values.items())}


def _any_exists(files: list[LabeledFile]) -> bool:
    try:
        return any(file.path.exists() for file in files)
    except (OSError, ValueError):  # a name too long, or with a zero byte: decoding it reports that
        return True


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the line in which each row ends, counted from 1, and its fields by column."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            delimiter = max(",;\t", key=file.readline().count)
            file.seek(0)
            rows = csv.reader(file, delimiter=delimiter, strict=True)
            header = _with_usual_names([field.strip().lower() for field in next(rows, [])])
            _check_header(path, header)
            for row in rows:
                if not any(row):
                    continue
                if len(row) != len(header):
                    raise ValueError(
                        f"{path}, line {rows.line_num}: expected {len(header)} fields as in the header, got {len(row)}."
                    )
                yield rows.line_num, dict(zip(header, (restored(cell.strip()) for cell in row), strict=True))
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: expected a CSV file in UTF-8, got other bytes; save it as CSV UTF-8.") from error
    except (csv.Error, OSError) as error:
        raise ValueError(f"{path}: expected a CSV file, got one that cannot be read ({error}).") from error


def _with_usual_names(header: list[str]) -> list[str]:
    """Rename the columns of paths and labels, where there is one of another usual name and none of ours."""
    bare = [re.sub("[ -]", "_", name) for name in header]
    for column, tiers in _ALIASES.items():
        if column not in header:
            found = next((same for tier in tiers if (same := [name for name in bare if name in tier])), [])
            if len(found) == 1:
                header = [column if name == found[0] else old for name, old in zip(bare, header, strict=True)]
    return header


def _check_header(path: Path, header: list[str]) -> None:
    for column in _MEANINGS:
        count = header.count(column)
        if count > 1 or (not count and column in ("path", "label")):
            raise ValueError(
                f"{path}: expected a header with one column {column}, got "
                f"{listed([column[:_SHOWN] for column in header], most=10) or 'an empty file'}; name the column of the "
                f"{_MEANINGS[column]} {column}."
            )
