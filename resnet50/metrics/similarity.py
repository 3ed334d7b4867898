"""Similarity to human judgment: a network's features, aligned with the space of human similarity judgments.

The features are reduced to as many principal components as the human space has dimensions, and aligned with it by
Procrustes analysis, which may rotate, mirror and scale but not stretch. The agreement is a correlation. Where the
alignment is fitted on the same images that it is scored on, even noise agrees to some degree: a correlation of 0.2 is
usual with 360 images and 8 dimensions. So each correlation comes with those of shuffled rows, each aligned again.

Sources: Nosofsky, Sanders, Meagher and Douglas 2018, Behavior Research Methods 50:530-556 (the human space of rocks);
Schönemann 1966, Psychometrika 31:1-10 (orthogonal Procrustes); Jackson 1995, Écoscience 2:297-303 (its permutation
test, PROTEST); Phipson and Smyth 2010, SAGMB 9:39 (p of a permutation test).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import orthogonal_procrustes
from sklearn.decomposition import PCA

_ROUNDING = 1e-9  # smaller differences are rounding


@dataclass(frozen=True)
class Correlation:
    """A correlation, and its distribution by chance.

    Attributes:
        value: Pearson's r, -1..1.
        chance: Mean of r over the permutations.
        band: Interval of the middle 95 % of the permutations, -1..1.
        p: Probability of this r or a higher one by chance, above 0 and at most 1; at least 1 / (permutations + 1). Not
            corrected for testing several dimensions.
    """

    value: float
    chance: float
    band: tuple[float, float]
    p: float


@dataclass(frozen=True)
class Agreement:
    """How well the aligned coordinates of images agree with the human coordinates.

    Attributes:
        images: Number of images.
        overall: Correlation of all coordinates together, each dimension centered. Where the alignment was fitted on
            these images, the Procrustes correlation of PROTEST, the root of one minus the disparity.
        dimensions: Correlation along each dimension of the human space.
    """

    images: int
    overall: Correlation
    dimensions: tuple[Correlation, ...]


@dataclass(frozen=True)
class Similarity:
    """Agreement of a network with people, on the images that the alignment was fitted on and on others.

    Attributes:
        fitted: The first images in the alignment that was fitted on them; each permutation is aligned again. The usual
            number, to be read beside its chance.
        held_out: Other images in the same alignment. Nothing is fitted on them, so that chance is near 0: the number to
            rely on. It is lower where the axes of the two human spaces do not quite agree.
        realigned: The other images, aligned on themselves like the first; for comparison with published numbers.
        variance: Share of the variance of the first features that the components explain, 0..1.
        permutations: Number of shuffles.
        seed: Seed of the shuffles.
    """

    fitted: Agreement
    held_out: Agreement
    realigned: Agreement
    variance: float
    permutations: int
    seed: int


def similarity(
    features: np.ndarray,
    human: np.ndarray,
    held_out_features: np.ndarray,
    held_out_human: np.ndarray,
    *,
    permutations: int = 1000,
    seed: int = 0,
) -> Similarity:
    """Compare the features of a network with human similarity judgments of the same images.

    Args:
        features: Features of the images to fit the alignment on, float ``(n, d)``.
        human: Their coordinates in the human space, float ``(n, k)``, k at most d and less than n.
        held_out_features: Features of other images, float ``(m, d)``.
        held_out_human: Their coordinates in a human space of the same axes, float ``(m, k)``.
        permutations: Number of shuffles of the human rows, at least 1.
        seed: Determines the shuffles.

    Returns:
        Correlations overall and by dimension, each with chance and p.

    Raises:
        ValueError: If the arrays have other shapes, numbers that are not finite or variance along too few directions,
            or ``permutations`` is not positive.
    """
    if permutations < 1:
        raise ValueError(f"expected permutations to be at least 1, got {permutations}.")
    for name, network, judgments in (("fitted", features, human), ("held-out", held_out_features, held_out_human)):
        _check(name, network, judgments, features.shape[-1], human.shape[-1])
    components = PCA(human.shape[1], svd_solver="full").fit(features.astype(np.float64))
    points, held_out_points = components.transform(features), components.transform(held_out_features)
    rotation = _rotation(points, human)
    return Similarity(
        fitted=_agree(points, human, None, permutations, seed),
        held_out=_agree(held_out_points, held_out_human, rotation, permutations, seed),
        realigned=_agree(held_out_points, held_out_human, None, permutations, seed),
        variance=float(components.explained_variance_ratio_.sum()),
        permutations=permutations,
        seed=seed,
    )


def _check(name: str, features: np.ndarray, human: np.ndarray, width: int, dimensions: int) -> None:
    shapes = (len(human), width), (len(human), dimensions)
    if (features.shape, human.shape) != shapes:
        raise ValueError(
            f"{name} images: expected features (n, {width}) and human coordinates (n, {dimensions}), got "
            f"{features.shape} and {human.shape}."
        )
    if not np.isfinite(features).all() or not np.isfinite(human).all():
        raise ValueError(f"{name} images: expected finite features and human coordinates, got NaN or infinity.")
    if not np.ptp(human, axis=0).all():
        raise ValueError(
            f"{name} images: expected human coordinates that vary along each dimension, got a constant one."
        )
    centered = features - features.mean(axis=0, dtype=np.float64)
    directions = int(np.linalg.matrix_rank(centered, tol=_ROUNDING * np.abs(features).max()))
    if directions < dimensions:
        raise ValueError(
            f"{name} images: expected features that vary along at least {dimensions} directions, got {directions}."
        )


def _rotation(points: np.ndarray, human: np.ndarray) -> np.ndarray:
    """Return the orthogonal ``(k, k)`` that rotates centered points onto centered human ones."""
    return orthogonal_procrustes(points - points.mean(axis=0), human - human.mean(axis=0))[0]


def _agree(
    points: np.ndarray, human: np.ndarray, rotation: np.ndarray | None, permutations: int, seed: int
) -> Agreement:
    """Correlate rotated points with human ones, and with shuffled ones; with no rotation given, fit one for each."""

    def correlations(target: np.ndarray) -> np.ndarray:
        return _correlate(points @ (_rotation(points, target) if rotation is None else rotation), target)

    observed = correlations(human)
    rng = np.random.default_rng(seed)
    shuffled = np.array([correlations(human[rng.permutation(len(human))]) for _ in range(permutations)])
    low, high = np.quantile(shuffled, (0.025, 0.975), axis=0)
    reached = (shuffled >= observed - _ROUNDING).sum(axis=0)
    overall, *dimensions = (
        Correlation(
            value=float(observed[k]),
            chance=float(shuffled[:, k].mean()),
            band=(float(low[k]), float(high[k])),
            p=float((1 + reached[k]) / (1 + permutations)),
        )
        for k in range(len(observed))
    )
    return Agreement(images=len(human), overall=overall, dimensions=tuple(dimensions))


def _correlate(points: np.ndarray, human: np.ndarray) -> np.ndarray:
    """Return the correlation of all coordinates together, then of each dimension: ``(1 + k,)``."""
    a, b = points - points.mean(axis=0), human - human.mean(axis=0)
    products, squares, others = (a * b).sum(axis=0), (a**2).sum(axis=0), (b**2).sum(axis=0)
    overall = products.sum() / np.sqrt(squares.sum() * others.sum())
    return np.append(overall, products / np.sqrt(squares * others))
