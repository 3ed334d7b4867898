"""The history of a training: a row for each epoch, as a CSV file that is always up to date."""

from __future__ import annotations

import csv
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import keras

from resnet50._io.files import atomic_path


class WriteHistory(keras.callbacks.Callback):
    """Collect a row for each epoch, and write all rows after each.

    Args:
        path: The CSV file.

    Attributes:
        phase: Number of the phase, counted from 1, for the rows of a run of several; None for no such column.
        rows: ``epoch`` counted from 1, ``phase``, ``loss``, ``accuracy``, ``val_loss`` and ``val_accuracy`` where there
            is a validation split, ``learning_rate`` at the epoch's end, where there is one, and ``seconds``.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self.phase: int | None = None
        self.rows: list[dict[str, float]] = []

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Start the clock."""
        self._began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Add the row and write the file."""
        scores = {name: float(value) for name, value in (logs or {}).items()}
        rate, seconds = float(self.model.optimizer.learning_rate), time.perf_counter() - self._began
        self.add({"epoch": epoch + 1, **scores, "learning_rate": rate, "seconds": seconds})

    def add(self, row: Mapping[str, float]) -> None:
        """Add a row, and write the file."""
        epoch = {"epoch": row["epoch"], **({"phase": self.phase} if self.phase else {})}
        self.rows.append({**epoch, **row, "seconds": round(row["seconds"], 2)})
        try:
            write_history(self._path, self.rows)
        except PermissionError as error:
            if sys.platform != "win32":
                raise
            # a spreadsheet has it open; the rows are in the checkpoint too, and the next epoch writes all of them
            warnings.warn(f"{error} The training goes on.", stacklevel=2)


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
            f"{path}: expected a number in each column of the history, got other text ({error}); restore or remove it."
        ) from error


def columns(rows: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
    """Return the history by column, NaN where a row lacks it; nothing without rows."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name, float("nan")) for row in rows] for name in names}
