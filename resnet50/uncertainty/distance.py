"""How unlike all training images an image is: the cosine distance of its features to the nearest of theirs.

Source: Sun et al. 2022, arXiv:2204.06507, for nearest neighbors as a detector of images from elsewhere.
"""

from __future__ import annotations

import numpy as np

_BLOCK = 1024  # images that are compared at a time


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
    reference = unit(reference)
    distances = np.empty(len(features), np.float32)
    for start in range(0, len(features), _BLOCK):
        block = slice(start, start + _BLOCK)
        table = 1 - unit(features[block]) @ reference.T
        if groups is not None:
            table[groups[0][block, None] == groups[1]] = np.inf
        count = min(neighbors, table.shape[1])
        distances[block] = np.partition(table, count - 1, axis=1)[:, :count].mean(axis=1) if count else np.inf
    return distances
