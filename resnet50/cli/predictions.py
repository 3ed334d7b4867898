"""Writing predictions as text, as a table or as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from resnet50._io.text import printable
from resnet50.cli.console import show
from resnet50.inference.prediction_table import NO_PATH, write_table

if TYPE_CHECKING:
    from resnet50.inference.prediction import Prediction


STDIN = NO_PATH
"""What names standard input among the images, and its image among the predictions."""


@dataclass(frozen=True)
class Writer:
    """A file to write predictions to, and their layout.

    Attributes:
        file: The open file.
        width: Characters of the longest path.
        top: Number of classes of each prediction.
        about: Name, dataset and precision of the model, and the shares of its thresholds, added to each JSON object.
    """

    file: TextIO
    width: int
    top: int
    about: Mapping[str, object]


def write_text(writer: Writer, predictions: Iterable[Prediction]) -> None:
    """Write a line for each image; the reason why an image cannot be read goes to standard error."""
    for prediction in predictions:
        if prediction.error is not None:
            show(prediction.error, file=sys.stderr)
        else:
            shares = (f"{printable(name)} {share:6.1%}" for name, share in prediction.top)
            columns = (f"{printable(_name(prediction)):{writer.width}}", *shares, *_doubt(prediction))
            show("  ".join(columns), file=writer.file)


def write_csv(writer: Writer, predictions: Iterable[Prediction]) -> None:
    """Write a table with a row for each image."""
    write_table(writer.file, predictions, top=writer.top)


def write_json_lines(writer: Writer, predictions: Iterable[Prediction]) -> None:
    """Write a JSON object a line for each image."""
    for prediction in predictions:
        writer.file.write(_as_json(writer, prediction) + "\n")


def write_json_list(writer: Writer, predictions: Iterable[Prediction]) -> None:
    """Write one JSON list with an object for each image."""
    between = "[\n"
    for prediction in predictions:
        writer.file.write(between + _as_json(writer, prediction))
        between = ",\n"
    writer.file.write("\n]\n")


WRITERS: dict[str, Callable[[Writer, Iterable[Prediction]], None]] = {
    "text": write_text,
    "csv": write_csv,
    "json": write_json_lines,
    "list": write_json_list,
}
"""Function that writes predictions, by format."""

FORMATS = {".csv": "csv", ".json": "list", ".jsonl": "json"}
"""Key of `WRITERS` for a file of each suffix: a table, one JSON list, or one JSON object a line."""


def _doubt(prediction: Prediction) -> tuple[str, ...]:
    """Return the refusal, or else the prediction set; nothing without thresholds."""
    if prediction.refused:
        return ("[none of these]",)
    if prediction.prediction_set is None:
        return ()
    return (f"[{' or '.join(map(printable, prediction.prediction_set))}]",)


def _name(prediction: Prediction) -> str:
    return STDIN if prediction.path is None else str(prediction.path)


def _as_json(writer: Writer, prediction: Prediction) -> str:
    return json.dumps({"path": _name(prediction), **prediction.fields(), **writer.about})
