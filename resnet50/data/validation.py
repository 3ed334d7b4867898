"""Cutting a validation split off the training data, so that nothing near to it stays on the other side."""

from __future__ import annotations

import numpy as np
from PIL import Image

from resnet50.data.split import Split

TWIN_DISTANCE = 6.0
"""Root mean square difference, in grey levels of 0..255 on 16 x 16 thumbnails, under which two pictures are twins.

In SIGNS the distance between a photo and its nearest other one falls into two heaps with a gap from 3.5 to 5.
"""

_ROWS = 512  # pictures compared with all others at a time: 4 kB of memory for each picture of the split


def train_validation_split(split: Split, fraction: float, *, seed: int) -> tuple[Split, Split]:
    """Cut a split in two: near-duplicates always on the same side, classes in proportion as far as that allows.

    Args:
        split: What to cut.
        fraction: Share of each class that goes into the second part, above 0 and below 1.
        seed: Decides which pictures; the same seed gives the same cut.

    Returns:
        The rest and the part of that share, such as training and validation, both in the split's order.

    Raises:
        ValueError: If the fraction is not between 0 and 1, or leaves a part empty.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction must lie between 0 and 1, got {fraction!r}.")
    groups = twin_groups(split.images)
    wanted = np.round(np.bincount(split.labels, minlength=len(split.class_names)) * fraction).astype(int)
    in_second = np.zeros(len(split), dtype=bool)
    for group in np.random.default_rng(seed).permutation(groups.max(initial=-1) + 1):
        members = np.flatnonzero(groups == group)
        counts = np.bincount(split.labels[members], minlength=len(wanted))
        if (counts <= wanted).all():
            in_second[members] = True
            wanted -= counts
    if not in_second.any() or in_second.all():
        raise ValueError(f"a cut of {fraction:g} of {len(split)} pictures leaves one side empty; add pictures.")
    return split.take(np.flatnonzero(~in_second)), split.take(np.flatnonzero(in_second))


def twin_groups(images: np.ndarray) -> np.ndarray:
    """Tell which pictures hang together by near-duplicates.

    Args:
        images: uint8 ``(n, height, width, 3)``.

    Returns:
        Group of each picture, int64 ``(n,)``, counted from 0 in order of first appearance.
    """
    thumbnails = [np.asarray(Image.fromarray(i).resize((16, 16), Image.Resampling.BOX)) for i in images]
    vectors = np.array(thumbnails, dtype=np.float64).reshape(len(images), 16 * 16 * 3)
    squares = np.sum(vectors**2, axis=1)
    group = np.arange(len(images))
    for start in range(0, len(images), _ROWS):
        some = slice(start, start + _ROWS)
        # |a - b|^2 = |a|^2 + |b|^2 - 2 ab, exact: all are whole numbers
        distances = squares[some, None] + squares - 2 * vectors[some] @ vectors.T  # (rows, n)
        for near in distances < TWIN_DISTANCE**2 * vectors.shape[1]:
            joined = np.unique(group[near])  # at least the picture's own
            if len(joined) > 1:
                group[np.isin(group, joined)] = joined[0]
    return np.unique(group, return_inverse=True)[1]
