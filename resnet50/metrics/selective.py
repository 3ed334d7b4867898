"""Scores of a classifier that may name several classes, or none: coverage, size of sets, and the risk of answering."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from resnet50.uncertainty.thresholds import Judgement

POINTS = 50
"""Most points of a risk-coverage curve."""


@dataclass(frozen=True)
class SetScores:
    """Prediction sets of images, of all classes or of one.

    Attributes:
        images: Number of images.
        covered: Share of images whose class is in their set, 0..1.
        size: Mean number of classes in a set.
        refused: Share of images that are refused, 0..1; None where refusal is not known.
    """

    images: int
    covered: float
    size: float
    refused: float | None


@dataclass(frozen=True)
class SelectiveScores:
    """Scores of prediction sets and of refusal.

    Attributes:
        coverage: The coverage that the sets were made for, 0..1.
        interval: Coverages between which 95 of 100 classifiers with as many calibration and test images lie by chance,
            where its promise holds exactly: quantiles of the beta-binomial distribution.
        all: Scores over all images.
        singletons: Share of images whose set is a single class, 0..1.
        singletons_right: Share of those whose class is right, 0..1; None where there are none.
        classes: Scores of the images of each class that has any, by its name.
        answered: Share of images that are answered, for each point of the risk-coverage curve, rising to 1: those with
            the highest confidence.
        risk: Share of those that are misclassified, 0..1.
        area: Mean risk over all shares of answered images (area under the risk-coverage curve), 0..1.
    """

    coverage: float
    interval: tuple[float, float]
    all: SetScores
    singletons: float
    singletons_right: float | None
    classes: dict[str, SetScores]
    answered: tuple[float, ...]
    risk: tuple[float, ...]
    area: float


def score_selective(
    judged: Judgement,
    probabilities: np.ndarray,
    labels: np.ndarray,
    class_names: Sequence[str],
    *,
    coverage: float,
    calibration_images: int,
) -> SelectiveScores:
    """Compare prediction sets and refusals with labels.

    Args:
        judged: Sets and refusals of ``n`` images of the classifier's classes; there are sets.
        probabilities: float ``(n, classes)``, 0..1.
        labels: True classes, int ``(n,)``.
        class_names: Name of each class.
        coverage: The coverage of the sets, above 0 and below 1.
        calibration_images: Number of images that the sets were fitted on.

    Raises:
        ValueError: If there are no sets.

    Source: El-Yaniv and Wiener 2010 (the risk-coverage curve); Angelopoulos and Bates 2021, arXiv:2107.07511, section
    4.1 (the beta-binomial distribution of the coverage).
    """
    from scipy.stats import betabinom

    if judged.sets is None:
        raise ValueError("expected prediction sets to score, got none; the classifier has no thresholds for them.")
    count, sizes = len(labels), judged.sets.sum(axis=1)
    inside = judged.sets[np.arange(count), labels]
    wrong = probabilities.argmax(axis=1) != labels
    rank = int(np.ceil(round((calibration_images + 1) * coverage, 6)))
    chance = betabinom(count, rank, calibration_images + 1 - rank)

    def scores(of: np.ndarray) -> SetScores:
        refused = None if judged.refused is None else float(judged.refused[of].mean())
        return SetScores(int(of.sum()), float(inside[of].mean()), float(sizes[of].mean()), refused)

    risks = np.cumsum(wrong[np.argsort(-probabilities.max(axis=1), kind="stable")]) / np.arange(1, count + 1)
    points = np.unique(np.linspace(0, count - 1, min(POINTS, count)).astype(int))
    alone = sizes == 1
    return SelectiveScores(
        coverage=coverage,
        interval=(float(chance.ppf(0.025) / count), float(chance.ppf(0.975) / count)),
        all=scores(np.ones(count, bool)),
        singletons=float(alone.mean()),
        singletons_right=float((~wrong)[alone].mean()) if alone.any() else None,
        classes={name: scores(labels == label) for label, name in enumerate(class_names) if (labels == label).any()},
        answered=tuple(((points + 1) / count).tolist()),
        risk=tuple(risks[points].tolist()),
        area=float(risks.mean()),
    )
