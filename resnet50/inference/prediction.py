"""The prediction for one image: its most probable classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Doubt:
    """What the thresholds of a classifier say about one image; None where they say nothing.

    Attributes:
        prediction_set: Classes of which one is right at the stated coverage, the most probable first.
        refused: Whether the image is unlike all training images: "none of these".
        distance: Cosine distance of its features to the nearest training images, 0..2.
    """

    prediction_set: tuple[str, ...] | None = None
    refused: bool | None = None
    distance: float | None = None


@dataclass(frozen=True)
class Prediction:
    """The most probable classes of one image.

    Attributes:
        index: Position of the image among those that were classified, from 0.
        path: The image's file; None if it was not passed as a path.
        top: The most probable classes and their probabilities, 0..1, best first; empty if the image cannot be read.
        error: Why the image cannot be read, one line; None if it can.
        prediction_set: Classes of which one is right at the asked coverage, the most probable first; None without
            thresholds.
        refused: Whether the image is unlike all training images, so that none of the classes may be right; None without
            thresholds.
        distance: Cosine distance of its features to the nearest training images, 0..2; None as well.
    """

    index: int
    path: Path | None
    top: tuple[tuple[str, float], ...]
    error: str | None = None
    prediction_set: tuple[str, ...] | None = None
    refused: bool | None = None
    distance: float | None = None

    @classmethod
    def of(
        cls, index: int, path: Path | None, row: np.ndarray, class_names: Sequence[str], *, top: int, doubt: Doubt
    ) -> Prediction:
        """Return the prediction for an image.

        Args:
            index: Its position.
            path: Its file, if it has one.
            row: Its probabilities, float ``(classes, ...)``; what is behind them is not used.
            class_names: Name of each class.
            top: Number of classes to name.
            doubt: What the thresholds say.

        Raises:
            ValueError: If ``top`` is not positive.
        """
        ranked = rank_classes(row[: len(class_names)], class_names, top)
        return cls(index, path, ranked, None, doubt.prediction_set, doubt.refused, doubt.distance)

    def fields(self) -> dict[str, Any]:
        """Return all but index and path, ready for JSON: ``top``, ``error``, ``set``, ``refused`` and ``distance``."""
        doubt = {"set": self.prediction_set, "refused": self.refused, "distance": self.distance}
        return {"top": self.top, "error": self.error, **doubt}


def rank_classes(row: np.ndarray, class_names: Sequence[str], top: int) -> tuple[tuple[str, float], ...]:
    """Return the most probable classes and their probabilities, best first; of equal classes the first, as in argmax.

    Raises:
        ValueError: If ``top`` is not positive.
    """
    check_top(top)
    return tuple((class_names[k], float(row[k])) for k in np.argsort(-row, kind="stable")[:top])


def name_classes(row: np.ndarray, class_names: Sequence[str], chosen: np.ndarray) -> tuple[str, ...]:
    """Return the names of the chosen classes, bool ``(classes,)``, the most probable first."""
    return tuple(class_names[k] for k in np.argsort(-row, kind="stable") if chosen[k])


def check_top(top: int) -> None:
    """Raise ValueError unless a number of classes to name is at least 1."""
    if top < 1:
        raise ValueError(f"expected top to be at least 1, got {top}.")
