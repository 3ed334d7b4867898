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


def class_columns(top: int) -> list[tuple[str, str]]:
    """Return the columns of the ``top`` most probable classes and of their probabilities, the most probable first."""
    places = ["", *(f"_{place}" for place in range(2, top + 1))]
    return [(f"class{place}", f"probability{place}") for place in places]


def write_table(file: TextIO, predictions: Iterable[Prediction], *, top: int) -> None:
    """Write a row for each image: path, classes with their probabilities, why it cannot be read, and the doubt.

    The last columns are empty for a classifier without thresholds: the classes of the prediction set, separated by
    ``|``, and whether the image is refused, ``yes`` or ``no``.

    Args:
        file: An open file; for ``csv``, with ``newline=""``.
        predictions: Of ``top`` classes each, unless the image cannot be read.
        top: Number of classes.
    """
    table = csv.writer(file, lineterminator="\n")
    table.writerow(["path", *(name for pair in class_columns(top) for name in pair), "error", "set", "refused"])
    for prediction in predictions:
        answers = [value for name, share in prediction.top for value in (name, f"{share:.6f}")]
        refused = {None: "", False: "no", True: "yes"}[prediction.refused]
        doubt = ["|".join(prediction.prediction_set or ()), refused]
        cells = [*(answers or [""] * 2 * top), prediction.error or "", *doubt]
        path = NO_PATH if prediction.path is None else harmless(printable(prediction.path))
        table.writerow([path, *(harmless(printable(cell)) for cell in cells)])
