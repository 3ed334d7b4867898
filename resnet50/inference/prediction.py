"""The prediction for one image: its most probable classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Prediction:
    """The most probable classes of one image.

    Attributes:
        index: Position of the image among those that were classified, from 0.
        path: The image's file; None if it was not passed as a path.
        top: The most probable classes and their probabilities, 0..1, best first; empty if the image cannot be read.
        error: Why the image cannot be read, one line; None if it can.
    """

    index: int
    path: Path | None
    top: tuple[tuple[str, float], ...]
    error: str | None = None


def rank_classes(row: np.ndarray, class_names: Sequence[str], top: int) -> tuple[tuple[str, float], ...]:
    """Return the most probable classes and their probabilities, best first; of equal classes the first, as in argmax.

    Raises:
        ValueError: If ``top`` is not positive.
    """
    check_top(top)
    return tuple((class_names[k], float(row[k])) for k in np.argsort(-row, kind="stable")[:top])


def check_top(top: int) -> None:
    """Raise ValueError unless a number of classes to name is at least 1."""
    if top < 1:
        raise ValueError(f"expected top to be at least 1, got {top}.")
