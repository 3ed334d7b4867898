"""Rows of results, one for each image, typed for a columnar file; and blocks of images. No file is written.

`resnet50.inference.parquet_folder` stores them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from resnet50._io.text import printable
from resnet50.inference.classifier import Classifier
from resnet50.inference.embed import embed
from resnet50.inference.predict import predict
from resnet50.inference.prediction import Prediction
from resnet50.inference.prediction_table import class_columns

MOST_IN_BLOCK = 1024
"""Most images whose results go to one file: what is lost if a process is killed."""

_BLOCKS_EACH = 4  # at least, for each process, so that all of them end at about the same time
_FULL_BATCH = 32  # images; fewer would be computed in smaller batches


class Rows(NamedTuple):
    """A table.

    Attributes:
        types: Type of each column: ``string``, ``float``, ``bool``, ``strings`` or ``floats``. Floats are float32.
        rows: The value of each column, None where there is none; ``error`` is why an image cannot be read.
    """

    types: dict[str, str]
    rows: list[dict[str, Any]]


def prediction_rows(
    classifier: Classifier, paths: Sequence[str], *, top: int, coverage: float | None, refuse: float | None
) -> Rows:
    """Classify images by `resnet50.predict`, and return its predictions with the columns of its table.

    Args:
        classifier: A trained classifier.
        paths: Image files.
        top: As for `resnet50.predict`; at most as many columns as there are classes.
        coverage: As for `resnet50.predict`.
        refuse: As for `resnet50.predict`.
    """
    pairs = class_columns(min(top, len(classifier.class_names)))
    types = {"path": "string", **{name: kind for pair in pairs for name, kind in zip(pair, _PAIR, strict=True)}}
    types |= {"error": "string", "set": "strings", "refused": "bool", "distance": "float"}
    predictions = predict(classifier, paths, top=top, coverage=coverage, refuse=refuse)
    return Rows(types, [_row(path, each, pairs) for path, each in zip(paths, predictions, strict=True)])


_PAIR = ("string", "float")


def _row(path: str, prediction: Prediction, pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    doubt = {"set": prediction.prediction_set, "refused": prediction.refused, "distance": prediction.distance}
    answers = zip(pairs, prediction.top, strict=False)  # none for an image that cannot be read
    named = {column: value for pair, answer in answers for column, value in zip(pair, answer, strict=True)}
    return {"path": path, **named, "error": prediction.error, **doubt}


def feature_rows(classifier: Classifier, paths: Sequence[str], *, at: str | None) -> Rows:
    """Compute the features of images by `resnet50.embed`.

    Args:
        classifier: A trained classifier.
        paths: Image files, each once.
        at: As for `resnet50.embed`.
    """
    embedding = embed(classifier, paths, at=at)
    features = dict(zip(map(str, embedding.paths), embedding.features, strict=True))
    reasons = {file.path: file.reason for file in embedding.unreadable}
    rows = [{"path": path, "features": features.get(path), "error": reasons.get(path)} for path in paths]
    return Rows({"path": "string", "features": "floats", "error": "string"}, rows)


def unique_paths(paths: Iterable[str | os.PathLike[str]]) -> list[str]:
    """Return paths as texts, each once, in order.

    Raises:
        ValueError: If one is not UTF-8, which columnar files are, or there is none.
    """
    texts = list(dict.fromkeys(str(Path(path)) for path in paths))
    for text in texts:
        if any("\ud800" <= letter <= "\udfff" for letter in text):
            raise ValueError(f"{printable(text)}: expected a path in UTF-8, got other bytes; rename the file.")
    if not texts:
        raise ValueError("expected images, got none.")
    return texts


def cut_blocks(paths: Sequence[str], *, processes: int) -> list[Sequence[str]]:
    """Cut a list of images into blocks: enough for all processes, and not too many to do one again.

    Args:
        paths: Image files.
        processes: Number of processes that take the blocks.
    """
    size = -(-len(paths) // (_BLOCKS_EACH * processes))
    size = min(max(-(-size // _FULL_BATCH) * _FULL_BATCH, _FULL_BATCH), MOST_IN_BLOCK)
    return [paths[start : start + size] for start in range(0, len(paths), size)]


def block_name(paths: Sequence[str]) -> str:
    """Return the name of the file for a block's results; a block that is computed twice replaces its own file."""
    return f"{hashlib.sha256(chr(0).join(paths).encode()).hexdigest()[:16]}.parquet"
