"""Read the images of a source, with their classes, splits and groups, from a CSV file."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path

from resnet50._io.cells import restored
from resnet50._io.text import printable
from resnet50.data.labeled_file import LabeledFile, class_name, split_name

_COLUMNS = ("path", "label", "split", "group")


def files_in_table(path: Path) -> list[LabeledFile]:
    """Read a CSV file with the columns ``path`` and ``label``, and optionally ``split`` and ``group``.

    Args:
        path: The file; the paths in it are relative to its folder.

    Raises:
        ValueError: If the file is not as `resnet50.data.listing.list_images` describes, names an image twice, or
            names no file that exists.
    """
    files: list[LabeledFile] = []
    lines: dict[str, int] = {}  # line of each path
    for line, row in _rows(path):
        where = f"{path}, line {line}"
        for column in ("path", "label"):
            if not row[column]:
                raise ValueError(f"{where}: expected a {column}, got an empty field.")
        split = split_name(row.get("split"), where=where)
        image = path.parent / row["path"]
        first = lines.setdefault(os.path.normcase(os.path.normpath(image)), line)
        if first != line:
            raise ValueError(f"{where}: expected each image once, got {printable(row['path'])}, as in line {first}.")
        files.append(LabeledFile(image, class_name(row["label"]), split, row.get("group", "")))
    if not files:
        raise ValueError(f"{path}: expected a row for each image, got a header alone.")
    if not _any_exists(files):
        raise ValueError(
            f"{path}: expected paths relative to the folder {path.parent}, got {len(files):,} that do not exist, "
            f"such as {printable(files[0].path)}."
        )
    return files


def other_columns(path: Path) -> dict[str, int]:
    """Return the columns of a CSV file that `files_in_table` does not use, each with its number of different values."""
    values: dict[str, set[str]] = {}
    for _, row in _rows(path):
        for column in row.keys() - set(_COLUMNS):
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
            header = [field.strip().lower() for field in next(rows, [])]
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


def _check_header(path: Path, header: list[str]) -> None:
    for column in _COLUMNS:
        count = header.count(column)
        if count > 1 or (not count and column in ("path", "label")):
            raise ValueError(
                f"{path}: expected a header with one column {column}, got "
                f"{', '.join(map(printable, header[:20])) or 'an empty file'}."
            )
