"""Images that are near-duplicates of each other, found among 100,000 in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

from resnet50.data.lazy_images import LazyImages

NEAR_DUPLICATE_DISTANCE = 6.0
"""Root mean square difference, in gray levels of 0..255 on 16 x 16 thumbnails, under which two images are twins.

In SIGNS the distance between a photo and its nearest other one falls into two heaps with a gap from 3.5 to 5.
"""

_SIDE = 16  # pixels of a thumbnail's side
_CELL = 2  # pixels of the side of a cell, whose mean stands for its pixels in the first, coarse comparison
_BLOCK = 1024  # images that are compared with as many others at a time: some 20 MB


def thumbnails(images: np.ndarray | LazyImages) -> np.ndarray:
    """Shrink images to what twins are told by.

    Args:
        images: uint8 ``(n, height, width, 3)``; may lie in a file, which is read image by image.

    Returns:
        uint8 ``(n, 16, 16, 3)``, 0..255, each pixel the mean of its part of the image.
    """
    small = np.empty((len(images), _SIDE, _SIDE, 3), dtype=np.uint8)
    for k, image in enumerate(images):
        small[k] = np.asarray(Image.fromarray(image).resize((_SIDE, _SIDE), Image.Resampling.BOX))
    return small


def near_duplicate_pairs(
    small: np.ndarray, *, mirrored: bool = False, progress: Callable[[int], None] | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Find all pairs of near-duplicates: thumbnails that differ by less than `NEAR_DUPLICATE_DISTANCE`.

    Exact, in time that grows with the pairs of like brightness: two means, whether of whole thumbnails or of their
    cells, never differ by more than the thumbnails themselves do, so that most pairs are dismissed by few numbers.

    Args:
        small: `thumbnails`, uint8 ``(n, 16, 16, 3)``.
        mirrored: Compare each with the mirror images of the others instead.
        progress: Called with the number of images whose pairs are all found.

    Yields:
        As many pairs as one block of comparisons gave: index of the first image and of the second, which is the
        larger, int64 ``(pairs,)``, and their distance in gray levels, float64 ``(pairs,)``, 0 to `NEAR_DUPLICATE_DISTANCE`.
    """
    count, size = len(small), _SIDE * _SIDE * 3
    cells = small.reshape(count, _SIDE // _CELL, _CELL, _SIDE // _CELL, _CELL, 3).mean(axis=(2, 4), dtype=np.float32)
    means = cells.mean(axis=(1, 2, 3), dtype=np.float64)
    order = np.argsort(means, kind="stable")
    means, small, cells = means[order], small[order], cells[order] - np.float32(127.5)
    others = small[:, :, ::-1] if mirrored else small
    left, right = (each.reshape(count, size // _CELL**2) for each in (cells, cells[:, :, ::-1] if mirrored else cells))
    # |a - b|^2 < d^2 is a.b - |a|^2 / 2 - |b|^2 / 2 + d^2 / 2 > 0: one product of matrices with two more columns
    half = (left**2).sum(axis=1, keepdims=True) / 2
    nearest = np.float32(
        1.01 * NEAR_DUPLICATE_DISTANCE**2 * left.shape[1] / 2
    )  # a little more, for what 32 bits cut off
    ones = np.ones_like(half)
    left, right = np.hstack([left, nearest - half, ones]), np.hstack([right, ones, -half])
    ends = np.searchsorted(means, means + 1.01 * NEAR_DUPLICATE_DISTANCE)
    for top in range(0, count, _BLOCK):
        bottom = min(top + _BLOCK, count)
        for start in range(top, ends[bottom - 1], _BLOCK):
            close = left[top:bottom] @ right[start : start + _BLOCK].T > 0
            if start == top:
                close = np.triu(close, 1)  # each pair once, and none with itself
            rows, columns = np.flatnonzero(close.any(axis=1)) + top, np.flatnonzero(close.any(axis=0)) + start
            if not len(rows):
                continue
            # exact: whole numbers, and 768 products of two of -128..127 sum up to less than 2**24
            a = small[rows].reshape(len(rows), size).astype(np.float32) - 128
            b = others[columns].reshape(len(columns), size).astype(np.float32) - 128
            lengths = (a**2).sum(axis=1, dtype=np.float64)[:, None] + (b**2).sum(axis=1, dtype=np.float64)
            squares = lengths - 2 * (a @ b.T).astype(np.float64)
            i, j = np.nonzero((squares < NEAR_DUPLICATE_DISTANCE**2 * size) & (rows[:, None] < columns))
            if len(i):
                pair = np.sort([order[rows[i]], order[columns[j]]], axis=0)
                yield pair[0], pair[1], np.sqrt(squares[i, j] / size)
        if progress is not None:
            progress(bottom)


def near_duplicate_groups(images: np.ndarray | LazyImages) -> np.ndarray:
    """Tell which images hang together by near-duplicates.

    Args:
        images: uint8 ``(n, height, width, 3)``; may lie in a file.

    Returns:
        Group of each image, int64 ``(n,)``, counted from 0 in order of first appearance.
    """
    groups = np.arange(len(images))
    for first, second, _ in near_duplicate_pairs(thumbnails(images)):
        groups = join(groups, first, second)
    return groups


def join(groups: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Merge the groups of images that belong together.

    Args:
        groups: Group of each image, int64 ``(n,)``.
        first: Index of one image of each pair that belongs together, int64 ``(pairs,)``.
        second: Index of the other, int64 ``(pairs,)``.

    Returns:
        Group of each image, int64 ``(n,)``, counted from 0 in order of first appearance.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    first, second = groups[first], groups[second]
    apart = first != second
    if not apart.any():
        return groups
    pairs = (first[apart], second[apart])
    graph = coo_array((np.ones(len(pairs[0]), dtype=bool), pairs), shape=(len(groups), len(groups)))
    # numbers each component by its first node
    return connected_components(graph, directed=False)[1].astype(np.int64)[groups]
