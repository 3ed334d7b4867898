"""How good predictions are, as numbers."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass

import numpy as np

from resnet50.data.split import Split

_ROUNDING = 1e-3  # a softmax in half precision may sum to a little more than 1


@dataclass(frozen=True)
class ClassScores:
    """One class: of the pictures called so the share that are (precision), of those that are the share found (recall).

    ``f1`` is the harmonic mean of the two; ``support`` the number of pictures of the class. A share of nothing is 0.
    """

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Report:
    """Scores of a classifier on a split.

    Attributes:
        dataset: Name of the data set.
        pictures: Number of pictures.
        accuracy: Share of pictures whose most probable class is right, 0..1.
        interval: 95 % confidence interval of the accuracy (Wilson 1927), 0..1.
        loss: Mean cross-entropy in nats.
        classes: Scores by class name, in the order of the model's outputs.
        confusion: Counts, rows true and columns predicted, ``(classes, classes)``.
    """

    dataset: str
    pictures: int
    accuracy: float
    interval: tuple[float, float]
    loss: float
    classes: dict[str, ClassScores]
    confusion: list[list[int]]

    def to_json(self) -> str:
        """Return the report as JSON text."""
        return json.dumps(asdict(self), indent=2)


def score(probabilities: np.ndarray, split: Split) -> Report:
    """Compare predictions with labels.

    Args:
        probabilities: float ``(n, classes)``, 0..1, row k for picture k of the split.
        split: The pictures that were classified.

    Returns:
        The scores.

    Raises:
        ValueError: If there is not one row for each picture and one column for each class, a number is none or not
            0..1 (logits are not), or two classes have the same name.
    """
    classes = len(split.class_names)
    if not len(split) or probabilities.shape != (len(split), classes):
        raise ValueError(
            f"{split.dataset}: needed predictions of shape ({len(split)}, {classes}) for at least one picture, "
            f"got {probabilities.shape}."
        )
    lowest, highest = probabilities.min(), probabilities.max()
    if not (lowest >= 0 and highest <= 1 + _ROUNDING):
        raise ValueError(f"{split.dataset}: probabilities must be 0..1, got {lowest:g}..{highest:g}.")
    if len(set(split.class_names)) < classes:
        raise ValueError(f"{split.dataset}: class names must differ, got {', '.join(split.class_names)}.")
    predicted = probabilities.argmax(axis=1)
    confusion = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(confusion, (split.labels, predicted), 1)
    right, called, there = confusion.diagonal(), confusion.sum(axis=0), confusion.sum(axis=1)
    accuracy = right.sum() / len(split)
    chosen = probabilities[np.arange(len(split)), split.labels].astype(np.float64)
    return Report(
        dataset=split.dataset,
        pictures=len(split),
        accuracy=float(accuracy),
        interval=_wilson(float(accuracy), len(split)),
        loss=float(-np.log(np.maximum(chosen, 1e-12)).mean()),
        classes={
            name: ClassScores(
                precision=_share(right[k], called[k]),
                recall=_share(right[k], there[k]),
                f1=_share(2 * right[k], called[k] + there[k]),
                support=int(there[k]),
            )
            for k, name in enumerate(split.class_names)
        },
        confusion=confusion.tolist(),
    )


def _share(part: int, whole: int) -> float:
    return float(part / whole) if whole else 0.0


def _wilson(share: float, n: int) -> tuple[float, float]:
    z = 1.959964  # 97.5 % quantile of the normal distribution
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return max(0.0, centre - half), min(1.0, centre + half)
