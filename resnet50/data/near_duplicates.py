"""Find near-duplicate images: exactly, and in bounded memory even among 100,000."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image

from resnet50._io.fetch import Progress
from resnet50.data.lazy_images import LazyImages

NEAR_DUPLICATE_DISTANCE = 6.0
"""Two images are near-duplicates if their 16 x 16 thumbnails differ by less than this.

The unit is the root mean square difference in gray levels of 0..255. In SIGNS the distances between a photo and its
nearest neighbor form two clusters, with a gap from 3.5 to 5.
"""

MAX_STORED_PAIRS = 2_000_000
"""Most pairs that are stored after a search: 48 MB. Only a few thousand copies of one image exceed it."""

_SIZE = 16  # height and width of a thumbnail in pixels
_CELL = 2  # height and width of a cell in pixels; the first, coarse comparison uses the means of cells
_BLOCK = 1024  # images that are compared with as many others at a time, which takes about 20 MB
_STEP = 256  # images between two calls of progress
_SINGLE_COLOR = 2.0  # standard deviation in gray levels below which an image has one color and a JPEG's noise


class Pairs(NamedTuple):
    """Some pairs of near-duplicates.

    Attributes:
        first: Index of one image of each pair, int64 ``(pairs,)``.
        second: Index of the other, which is larger, int64 ``(pairs,)``.
        distance: Their distance in gray levels, float64 ``(pairs,)``, 0 to `NEAR_DUPLICATE_DISTANCE`.
    """

    first: np.ndarray
    second: np.ndarray
    distance: np.ndarray

    def where(self, mask: np.ndarray) -> Pairs:
        """Return the pairs for which the mask, bool ``(pairs,)``, is true."""
        return Pairs(self.first[mask], self.second[mask], self.distance[mask])


@dataclass(frozen=True, eq=False)
class NearDuplicates:
    """The result of one search in all images of all splits, which are numbered consecutively.

    Memory stays bounded. Images of a single color resemble each other without being copies, and there may be
    thousands of them: they are in ``groups``, one number each, and never in `pairs`. Other pairs are stored up to
    `MAX_STORED_PAIRS`; if there are more, none are stored and `pairs` searches again.

    Attributes:
        thumbnails: uint8 ``(n, 16, 16, 3)``.
        single_color: Whether an image shows nothing but one color, bool ``(n,)``.
        groups: Images of one split have the same number if near-duplicates of that split connect them, directly or
            through others; int64 ``(n,)``, counted from 0 in order of first appearance.
        stored: Pairs without images of a single color; None if there were too many.
    """

    thumbnails: np.ndarray
    single_color: np.ndarray
    groups: np.ndarray
    stored: tuple[Pairs, ...] | None

    def pairs(self) -> Iterator[Pairs]:
        """Yield all pairs of near-duplicates in which neither image is of a single color, block by block."""
        return iter(self.stored) if self.stored is not None else _without(self.single_color, self.thumbnails)

    def reorder(self, order: np.ndarray) -> NearDuplicates:
        """Return the same near-duplicates for images that were put in another order, without a search.

        Args:
            order: Old number of each image, int64 ``(n,)``, a permutation.
        """
        position = np.empty_like(order)
        position[order] = np.arange(len(order))
        stored = None
        if self.stored is not None:
            stored = tuple(
                _sorted_pairs(position[pairs.first], position[pairs.second], pairs.distance) for pairs in self.stored
            )
        return NearDuplicates(self.thumbnails[order], self.single_color[order], _renumber(self.groups[order]), stored)


def find_near_duplicates(
    splits: Sequence[np.ndarray | LazyImages], *, progress: Progress | None = None
) -> NearDuplicates:
    """Search all images of all splits for near-duplicates.

    Args:
        splits: The images of each split, uint8 ``(n, height, width, 3)``; they may lie in a file.
        progress: Called with the steps done and their number, two for each image.

    Returns:
        The near-duplicates; images are numbered in the order of the splits.
    """
    count = sum(map(len, splits))

    def report(start: int) -> Callable[[int], None]:
        return lambda done: progress(start + done, 2 * count) if progress is not None else None

    starts = np.cumsum([0, *map(len, splits)])
    small = np.empty((count, _SIZE, _SIZE, 3), dtype=np.uint8)
    single_color = np.empty(count, dtype=bool)
    for images, start in zip(splits, starts, strict=False):
        for first in range(0, len(images), _STEP):
            block = images[first : first + _STEP]
            here = slice(start + first, start + first + len(block))
            small[here] = thumbnails(block)
            single_color[here] = _has_single_color(block, small[here])
            report(0)(int(start) + first + len(block))
    split = np.repeat(np.arange(len(splits)), np.diff(starts))
    groups, stored, pairs_found = np.arange(count), list[Pairs](), 0
    for pairs in near_duplicate_pairs(small, progress=report(count)):
        within = pairs.where(split[pairs.first] == split[pairs.second])
        groups = join(groups, within.first, within.second)
        reported = _drop(pairs, single_color)
        pairs_found += len(reported.first)
        if pairs_found > MAX_STORED_PAIRS:
            stored.clear()
        elif len(reported.first):
            stored.append(reported)
    return NearDuplicates(small, single_color, groups, tuple(stored) if pairs_found <= MAX_STORED_PAIRS else None)


def thumbnails(images: np.ndarray | LazyImages) -> np.ndarray:
    """Shrink images to the size at which near-duplicates are compared.

    Args:
        images: uint8 ``(n, height, width, 3)``; may lie in a file, which is read image by image.

    Returns:
        uint8 ``(n, 16, 16, 3)``, 0..255, each pixel the mean of its part of the image.
    """
    small = np.empty((len(images), _SIZE, _SIZE, 3), dtype=np.uint8)
    for k, image in enumerate(images):
        small[k] = np.asarray(Image.fromarray(image).resize((_SIZE, _SIZE), Image.Resampling.BOX))
    return small


def near_duplicate_pairs(
    small: np.ndarray, *, mirrored: bool = False, progress: Callable[[int], None] | None = None
) -> Iterator[Pairs]:
    """Find all pairs of near-duplicates: thumbnails that differ by less than `NEAR_DUPLICATE_DISTANCE`.

    The search is exact. Its time grows with the number of pairs of similar brightness: two means, of whole thumbnails
    or of their cells, never differ by more than the thumbnails themselves, so a few numbers rule most pairs out.

    Args:
        small: `thumbnails`, uint8 ``(n, 16, 16, 3)``.
        mirrored: Compare each with the mirror images of the others instead.
        progress: Called with the number of images whose pairs are all found.

    Yields:
        The pairs of one block of comparisons.
    """
    count, size = len(small), _SIZE * _SIZE * 3
    cells = small.reshape(count, _SIZE // _CELL, _CELL, _SIZE // _CELL, _CELL, 3).mean(axis=(2, 4), dtype=np.float32)
    means = cells.mean(axis=(1, 2, 3), dtype=np.float64)
    order = np.argsort(means, kind="stable")
    means, small, cells = means[order], small[order], cells[order] - np.float32(127.5)
    others = small[:, :, ::-1] if mirrored else small
    left, right = (each.reshape(count, size // _CELL**2) for each in (cells, cells[:, :, ::-1] if mirrored else cells))
    # |a - b|^2 < d^2 is a.b - |a|^2 / 2 - |b|^2 / 2 + d^2 / 2 > 0: one product of matrices with two more columns
    half = (left**2).sum(axis=1, keepdims=True) / 2
    nearest = np.float32(1.01 * NEAR_DUPLICATE_DISTANCE**2 * left.shape[1] / 2)  # 1 % more, since 32 bits round
    ones = np.ones_like(half)
    left, right = np.hstack([left, nearest - half, ones]), np.hstack([right, ones, -half])
    ends = np.searchsorted(means, means + 1.01 * NEAR_DUPLICATE_DISTANCE)
    for top in range(0, count, _BLOCK):
        bottom = min(top + _BLOCK, count)
        for start in range(top, ends[bottom - 1], _BLOCK):
            close = left[top:bottom] @ right[start : start + _BLOCK].T > 0
            if start == top:
                close = np.triu(close, 1)  # each pair once, and no image with itself
            rows, columns = np.flatnonzero(close.any(axis=1)) + top, np.flatnonzero(close.any(axis=0)) + start
            if not len(rows):
                continue
            # exact: whole numbers, and 768 products of two numbers of -128..127 sum up to less than 2**24
            a = small[rows].reshape(len(rows), size).astype(np.float32) - 128
            b = others[columns].reshape(len(columns), size).astype(np.float32) - 128
            lengths = (a**2).sum(axis=1, dtype=np.float64)[:, None] + (b**2).sum(axis=1, dtype=np.float64)
            squares = lengths - 2 * (a @ b.T).astype(np.float64)
            i, j = np.nonzero((squares < NEAR_DUPLICATE_DISTANCE**2 * size) & (rows[:, None] < columns))
            if len(i):
                yield _sorted_pairs(order[rows[i]], order[columns[j]], np.sqrt(squares[i, j] / size))
        if progress is not None:
            progress(bottom)


def near_duplicate_groups(images: np.ndarray | LazyImages) -> np.ndarray:
    """Group images that near-duplicates connect, directly or through others.

    Args:
        images: uint8 ``(n, height, width, 3)``; may lie in a file.

    Returns:
        Group of each image, int64 ``(n,)``, counted from 0 in order of first appearance.
    """
    return find_near_duplicates([images]).groups


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


def _has_single_color(images: np.ndarray, small: np.ndarray) -> np.ndarray:
    """Return which images show one color only, bool ``(n,)``."""
    single = np.ptp(small, axis=(1, 2)).max(axis=1) < 2 * _SINGLE_COLOR
    for k in np.flatnonzero(single):  # a thumbnail averages fine patterns away
        single[k] = images[k].std(axis=(0, 1)).max() < _SINGLE_COLOR
    return single


def _sorted_pairs(one: np.ndarray, other: np.ndarray, distance: np.ndarray) -> Pairs:
    return Pairs(np.minimum(one, other), np.maximum(one, other), distance)


def _drop(pairs: Pairs, left_out: np.ndarray) -> Pairs:
    """Return the pairs in which neither image is left out."""
    return pairs.where(~(left_out[pairs.first] | left_out[pairs.second]))


def _without(left_out: np.ndarray, small: np.ndarray) -> Iterator[Pairs]:
    """Search the images that are not left out; yield pairs of their numbers among all."""
    chosen = np.flatnonzero(~left_out)
    for pairs in near_duplicate_pairs(small[chosen]):
        yield Pairs(chosen[pairs.first], chosen[pairs.second], pairs.distance)


def _renumber(groups: np.ndarray) -> np.ndarray:
    """Count groups from 0 in order of first appearance."""
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]
