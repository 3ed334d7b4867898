"""How unlike all training images an image is: the cosine distance of its features to the nearest of theirs.

Source: Sun et al. 2022, arXiv:2204.06507, for nearest neighbors as a detector of images from elsewhere.
"""

from __future__ import annotations

import numpy as np

_BLOCK = 1024  # images that are compared at a time
_FEW = 64  # reference images that they are compared with at a time


def unit(features: np.ndarray) -> np.ndarray:
    """Return features of length 1, float32 ``(n, d)``; those without a direction stay 0, far from everything."""
    features = np.asarray(features, np.float32)
    norms = np.sqrt(np.einsum("nd,nd->n", features, features))
    return features / np.maximum(norms, 1e-12)[:, None]


def nearest_distances(
    features: np.ndarray, reference: np.ndarray, neighbors: int, *, groups: tuple[np.ndarray, np.ndarray] | None = None
) -> np.ndarray:
    """Return the mean cosine distance of images to their nearest reference images, 0..2.

    Args:
        features: float ``(n, d)``.
        reference: Of the reference images, float ``(m, d)``.
        neighbors: Number of nearest images; all, where there are fewer.
        groups: Group of each image and of each reference image, ``(n,)`` and ``(m,)``: those of one group, such as an
            image and its own near-duplicates, are not compared. None to compare all.

    Returns:
        float32 ``(n,)``; infinite where groups leave fewer than ``neighbors`` images to compare with.
    """
    distances = np.empty(len(features), np.float32)
    for start in range(0, len(features), _BLOCK):
        block = slice(start, start + _BLOCK)
        table = 1 - _cosines(unit(features[block]), reference)
        if groups is not None:
            table[groups[0][block, None] == groups[1]] = np.inf
        count = min(neighbors, table.shape[1])
        distances[block] = np.partition(table, count - 1, axis=1)[:, :count].mean(axis=1) if count else np.inf
    return distances


def _cosines(images: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return the cosines between features of length 1 and those of reference images, float32 ``(n, m)``.

    A few reference images at a time become float32: they stay in the processor's cache, where all of them would take
    160 MB and three times as long.
    """
    cosines = np.empty((len(images), len(reference)), np.float32)
    few = np.empty((_FEW, reference.shape[1]), np.float32)
    for start in range(0, len(reference), _FEW):
        block = slice(start, start + _FEW)
        rows = few[: len(reference[block])]
        np.copyto(rows, reference[block], casting="same_kind")
        norms = np.sqrt(np.einsum("nd,nd->n", rows, rows))
        cosines[:, block] = images @ rows.T / np.maximum(norms, 1e-12)
    return cosines
