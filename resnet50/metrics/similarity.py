"""How much like people a network sees: its features laid onto the space that human judgements of likeness span.

The features are reduced to as many principal components as the human space has dimensions, and turned onto it by
Procrustes analysis, which may rotate, mirror and scale but not stretch. What then agrees is a correlation. Where the
alignment is fitted on the very images that it is scored on, even noise agrees to some degree: a correlation of 0.2 is
usual with 360 images and 8 dimensions. So each comes with what it is when the rows are shuffled and aligned anew.

Sources: Nosofsky, Sanders, Meagher and Douglas 2018, Behavior Research Methods 50:530-556 (the human space of rocks);
Schönemann 1966, Psychometrika 31:1-10 (orthogonal Procrustes); Jackson 1995, Écoscience 2:297-303 (its permutation
test, PROTEST); Phipson and Smyth 2010, SAGMB 9:39 (p of a permutation test).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import orthogonal_procrustes
from sklearn.decomposition import PCA

_ROUNDING = 1e-9  # what differs by less is the same


@dataclass(frozen=True)
class Correlation:
    """A correlation, and what chance makes of it.

    Attributes:
        value: Pearson's r, -1..1.
        chance: Mean of r over the permutations.
        band: Where the middle 95 % of the permutations lie, -1..1.
        p: Probability of such an r or a higher one by chance, above 0 and at most 1; never less than one over the
            number of permutations and one. Those of several dimensions are not corrected for being several.
    """

    value: float
    chance: float
    band: tuple[float, float]
    p: float


@dataclass(frozen=True)
class Agreement:
    """How far the coordinates that an alignment gives to images agree with the human ones.

    Attributes:
        images: Number of images.
        overall: Correlation of all coordinates taken together, each dimension about its mean. Where the alignment was
            fitted on these images, the Procrustes correlation of PROTEST, the root of one minus the disparity.
        dimensions: Correlation along each dimension of the human space.
    """

    images: int
    overall: Correlation
    dimensions: tuple[Correlation, ...]


@dataclass(frozen=True)
class Similarity:
    """How much like people a network sees, on the images that the alignment was fitted on and on others.

    Attributes:
        fitted: The first images in the alignment that was fitted on them; each permutation is aligned anew. The usual
            figure, to be read beside its chance.
        held_out: Other images in the same alignment. Nothing is fitted on them, so that chance is near 0: the figure
            to go by. Where the axes of the two human spaces do not quite meet, that lowers it too.
        realigned: The other images, aligned on themselves as the first were; for comparison with published figures.
        variance: Share of the first features' variance that the components keep, 0..1.
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
    """Compare what a network makes of images with what people do.

    Args:
        features: Activations of the images to fit the alignment on, float ``(n, d)``.
        human: Their places in the human space, float ``(n, k)``, k at most d and less than n.
        held_out_features: Activations of other images, float ``(m, d)``.
        held_out_human: Their places in a human space of the same axes, float ``(m, k)``.
        permutations: Shuffles of the human rows, at least 1.
        seed: Decides the shuffles.

    Returns:
        Correlations overall and by dimension, each with chance and p.

    Raises:
        ValueError: If the arrays are not such, hold what is no number or vary along too few directions, or there is no
            permutation.
    """
    if permutations < 1:
        raise ValueError(f"permutations must be at least 1, got {permutations}.")
    for name, seen, judged in (("fitted", features, human), ("held-out", held_out_features, held_out_human)):
        _check(name, seen, judged, features.shape[-1], human.shape[-1])
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
            f"{name} images: expected features (n, {width}) and human places (n, {dimensions}), got {features.shape} "
            f"and {human.shape}."
        )
    if not np.isfinite(features).all() or not np.isfinite(human).all():
        raise ValueError(f"{name} images: features and human places must be finite numbers.")
    if not np.ptp(human, axis=0).all():
        raise ValueError(f"{name} images: the human places are the same for all along a dimension.")
    centerd = features - features.mean(axis=0, dtype=np.float64)
    directions = int(np.linalg.matrix_rank(centerd, tol=_ROUNDING * np.abs(features).max()))
    if directions < dimensions:
        raise ValueError(
            f"{name} images: expected features that vary along at least {dimensions} directions, got {directions}."
        )


def _rotation(points: np.ndarray, human: np.ndarray) -> np.ndarray:
    """Return the orthogonal ``(k, k)`` that lays centerd points onto the centerd human ones."""
    return orthogonal_procrustes(points - points.mean(axis=0), human - human.mean(axis=0))[0]


def _agree(
    points: np.ndarray, human: np.ndarray, rotation: np.ndarray | None, permutations: int, seed: int
) -> Agreement:
    """Correlate rotated points with human ones, and with shuffled ones; without a rotation, each gets its own best."""

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
