"""The history of a training: a row for each epoch, as a CSV file that is always up to date."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from resnet50._io.files import atomic_path
from resnet50._io.text import short


def write_history(path: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Write the history as CSV, a row for each epoch, atomically."""
    names = sorted(dict.fromkeys(name for row in rows for name in row), key="seconds".__eq__)  # the last column
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)


def read_history(path: Path) -> list[dict[str, float]]:
    """Return the rows that `write_history` wrote, without the values that a row lacks; none if there is no file.

    Raises:
        ValueError: If the file is damaged.
    """
    if not path.is_file():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [
                {name: float(value) for name, value in row.items() if value != ""}
                for row in csv.DictReader(file, strict=True)
            ]
    except (ValueError, TypeError, csv.Error) as error:
        raise ValueError(
            f"{path}: expected a number in each column of the history, got other text ({short(str(error))}); restore "
            "or remove it."
        ) from error


def columns(rows: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
    """Return the history by column, NaN where a row lacks it; nothing without rows."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name, float("nan")) for row in rows] for name in names}
