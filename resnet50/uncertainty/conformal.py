"""Conformal prediction: sets of classes that hold the right one at a stated rate, whatever the classifier.

Calibration images that are exchangeable with those to come have scores ``s_1 .. s_n`` of their right classes. With
``q``, the ``ceil((n + 1)(1 - alpha))``-th smallest of them, the set ``{y: s(x, y) <= q}`` of a new image holds its
class with a probability of at least ``1 - alpha``, on average over calibration and new images.

Source: Vovk et al. 2005, Algorithmic Learning in a Random World; Angelopoulos and Bates 2021, arXiv:2107.07511.
"""

from __future__ import annotations

import math

import numpy as np

from resnet50.uncertainty.shares import check_share

METHODS = ("lac", "aps")
"""Scores of a class: ``"lac"`` and ``"aps"``, which `class_scores` describes."""


def class_scores(probabilities: np.ndarray, method: str) -> np.ndarray:
    """Return how badly each class conforms to an image, 0..1.

    - ``"lac"``, least ambiguous classes: ``1 - p_y``. The sets are the smallest on average (Sadinle et al. 2019,
      arXiv:1609.00451).
    - ``"aps"``, adaptive prediction sets: the sum of the probabilities of all classes that are at least as probable,
      ``y`` included. The sets grow with the difficulty of an image (Romano et al. 2020, arXiv:2006.02544, without
      randomization, so that an image always gets the same set).

    Args:
        probabilities: float ``(n, classes)``, 0..1.
        method: One of `METHODS`.

    Returns:
        float64 ``(n, classes)``.

    Raises:
        ValueError: If there is no such method.
    """
    probabilities = np.asarray(probabilities, np.float64)
    if method == "lac":
        return 1 - probabilities
    if method == "aps":
        order = np.argsort(-probabilities, axis=1, kind="stable")
        sums = np.cumsum(np.take_along_axis(probabilities, order, axis=1), axis=1)
        scores = np.empty_like(sums)
        np.put_along_axis(scores, order, sums, axis=1)
        return scores
    raise ValueError(f"expected method to be one of {', '.join(METHODS)}, got {method!r}.")


def fewest_images(coverage: float) -> int:
    """Return the fewest calibration images that give a set at a coverage other than all classes: 19 for 0.95."""
    check_share(coverage, "coverage")
    return max(1, math.ceil(round(coverage / (1 - coverage), 6)))


def conformal_quantile(scores: np.ndarray, coverage: float) -> float | None:
    """Return the ``ceil((n + 1) coverage)``-th smallest of ``n`` scores; None where there are fewer.

    Args:
        scores: float ``(n,)``, in any order.
        coverage: ``1 - alpha``, above 0 and below 1.

    Raises:
        ValueError: If the coverage is not between 0 and 1.
    """
    check_share(coverage, "coverage")
    rank = max(1, math.ceil(round((len(scores) + 1) * coverage, 6)))  # 20 * 0.95 is a little more than 19
    return float(np.partition(scores, rank - 1)[rank - 1]) if rank <= len(scores) else None


def prediction_sets(probabilities: np.ndarray, thresholds: np.ndarray | float, method: str) -> np.ndarray:
    """Return the classes whose score is at most a threshold; the most probable class is always among them.

    Args:
        probabilities: float ``(n, classes)``, 0..1.
        thresholds: One for all classes, or one for each, ``(classes,)``.
        method: One of `METHODS`.

    Returns:
        bool ``(n, classes)``, at least one True in each row.
    """
    sets = class_scores(probabilities, method) <= thresholds
    sets[np.arange(len(sets)), np.argmax(probabilities, axis=1)] = True
    return sets
