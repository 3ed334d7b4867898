"""Predictions as CSV, which opens in a spreadsheet without running anything."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from typing import TYPE_CHECKING, TextIO

from resnet50._io.cells import harmless
from resnet50._io.text import printable

if TYPE_CHECKING:
    from resnet50.inference.prediction import Prediction

NO_PATH = "-"
"""The path of an image that was not passed as one."""


def write_table(file: TextIO, predictions: Iterable[Prediction], *, top: int) -> None:
    """Write a row for each image: path, classes with their probabilities, and why it cannot be read.

    Args:
        file: An open file; for ``csv``, with ``newline=""``.
        predictions: Of ``top`` classes each, unless the image cannot be read.
        top: Number of classes.
    """
    table = csv.writer(file, lineterminator="\n")
    places = ["", *(f"_{place}" for place in range(2, top + 1))]
    table.writerow(["path", *(f"{column}{place}" for place in places for column in ("class", "probability")), "error"])
    for prediction in predictions:
        answers = [value for name, share in prediction.top for value in (name, f"{share:.6f}")]
        cells = [*(answers or [""] * 2 * top), prediction.error or ""]
        path = NO_PATH if prediction.path is None else harmless(printable(prediction.path))
        table.writerow([path, *(harmless(printable(cell)) for cell in cells)])
