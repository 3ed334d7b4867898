"""Find near-duplicates among more images than can be compared each with each, by an index of faiss.

Nothing is missed, and nothing else is found: the pairs are those of `near_duplicates.near_duplicate_pairs`, whatever
the centroids are that the index divides images by. Images are points, whose coordinates are the means of 4 x 4 pixels
of their thumbnails. With lengths ``|.|`` that are root mean squares, two points are never farther apart than the
thumbnails: near-duplicates less than ``r = NEAR_DUPLICATE_DISTANCE``. A point is in the list of its nearest centroid.
For a point ``x`` with the nearest centroid ``a``, and ``y`` in the list of ``b``::

    |x - b|^2 - |x - a|^2  =  |y - b|^2 - |y - a|^2 + 2 (x - y).(a - b)  <=  2 |x - y| |a - b|

So only lists with ``|x - b|^2 - |x - a|^2 <= 2 r |a - b|`` can have a near-duplicate of ``x`` (the second step is the
inequality of Cauchy and Schwarz): of photos a few of a thousand; of noise, which no centroids divide, most of them.
faiss compares ``x`` with the points of these lists. The thumbnails of those that are near are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np

from resnet50.data.near_duplicates import (
    MAX_STORED_PAIRS,
    MOST_COMPARED,
    NEAR_DUPLICATE_DISTANCE,
    Pairs,
    thumbnails,
)
from resnet50.data.records import INSTALL

_CELL = 4  # height and width in pixels of a cell of a thumbnail, whose mean is a coordinate
_LISTS = 1_024  # at most
_SAMPLE = 64  # points for each list by which its centroid is placed; faiss asks for 39
_BLOCK = 512  # images that are added to the index and searched for at a time
_SCANNED = 1 << 21  # points that are compared by one call, since all of them may be near: 25 MB
_VERIFIED = 2_048  # pairs of thumbnails that are compared at a time, in 25 MB
_CANDIDATES = 50  # pairs of thumbnails that are compared for each pair that may be stored; of more, it would take hours
_MARGIN = 1.01  # since floats are rounded
_ROUNDING = 1e-3  # more than float64 errs by in the square of a distance


def faiss() -> ModuleType:
    """Return the module of the package ``faiss-cpu``.

    Raises:
        ImportError: If it is not installed.
    """
    try:
        import faiss.contrib.ivf_tools
    except ImportError as error:
        raise ImportError(
            f"expected the package faiss to find near-duplicates among more than {MOST_COMPARED:,} images, got none "
            f"installed; {INSTALL}."
        ) from error
    return faiss


def indexed_pairs(
    images: Any, left_out: np.ndarray, *, progress: Callable[[int], None] | None = None
) -> tuple[Pairs, Pairs] | None:
    """Find all pairs of near-duplicates and of mirror images, in bounded memory: some 60 to 120 bytes for each image.

    faiss takes the threads of OpenMP: as many as cores that the process may use, or ``OMP_NUM_THREADS``.

    Args:
        images: What is indexed by arrays of numbers like an array, uint8 ``(n, height, width, 3)``; it may lie in a
            file.
        left_out: Images that are in no pair, bool ``(n,)``.
        progress: Called with the number of images whose pairs are all found.

    Returns:
        The pairs, and those in which one image is a near-duplicate of the other's mirror image, both sorted. None if
        one of the two has more than `MAX_STORED_PAIRS`, or so many images are nearly near-duplicates that to compare
        them would take hours.

    Raises:
        ImportError: If the package ``faiss-cpu`` is not installed.
    """
    chosen = np.flatnonzero(~left_out)
    if not len(chosen):
        if progress is not None:
            progress(len(left_out))
        return _sorted([]), _sorted([])
    lists = max(1, min(_LISTS, len(chosen) // _SAMPLE))
    sample = chosen[np.linspace(0, len(chosen) - 1, min(len(chosen), lists * _SAMPLE)).astype(np.int64)]
    index = _Index(_points(images, sample), lists)
    found: tuple[list[Pairs], list[Pairs]] = ([], [])
    counts, candidates = [0, 0], 0
    for start in range(0, len(chosen), _BLOCK):
        small = thumbnails(images[chosen[start : start + _BLOCK]])
        index.add(_cells(small))
        for kind, own in enumerate((small, small[:, :, ::-1])):
            for rows, earlier in index.near(_cells(own)):
                first, second = chosen[earlier], chosen[start + rows]
                distance = _distances(own[rows], images, first)
                found[kind].append(Pairs(first, second, distance).where(distance < NEAR_DUPLICATE_DISTANCE))
                counts[kind] += len(found[kind][-1].first)
                candidates += len(rows)
                if max(counts) > MAX_STORED_PAIRS or candidates > _CANDIDATES * MAX_STORED_PAIRS:
                    return None
        if progress is not None:
            progress(int(chosen[start : start + _BLOCK][-1]) + 1)
    if progress is not None:
        progress(len(left_out))
    return _sorted(found[0]), _sorted(found[1])


class _Index:
    """Points in lists by their nearest centroid, numbered in the order in which they were added.

    Args:
        sample: Points by which the centroids are placed, float64 ``(k, coordinates)``.
        lists: Number of centroids.
    """

    def __init__(self, sample: np.ndarray, lists: int) -> None:
        self._faiss, size = faiss(), sample.shape[1]
        coarse = self._faiss.IndexFlatL2(size)
        kind = self._faiss.ScalarQuantizer.QT_8bit_direct  # coordinates of 0..255 in a byte, without fractions
        self._index = self._faiss.IndexIVFScalarQuantizer(coarse, size, lists, kind, self._faiss.METRIC_L2, False)
        self._index.train(sample.astype(np.float32))
        self._centroids = coarse.reconstruct_n(0, lists).astype(np.float64)
        self._apart = np.sqrt(np.maximum(_squares(self._centroids, self._centroids), 0))
        self._sizes = np.zeros(lists, np.int64)
        self._radius = _MARGIN * NEAR_DUPLICATE_DISTANCE * size**0.5
        # faiss compares bytes, and some processors' instructions would cut a fraction off: both points are rounded
        self._rounded_radius = _MARGIN * (NEAR_DUPLICATE_DISTANCE + 2 * 0.5) * size**0.5

    def add(self, points: np.ndarray) -> None:
        """Add points, float64 ``(k, coordinates)``."""
        nearest = _squares(points, self._centroids).argmin(axis=1)
        self._faiss.contrib.ivf_tools.add_preassigned(self._index, _rounded(points), nearest)
        self._sizes += np.bincount(nearest, minlength=len(self._sizes))

    def near(self, points: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Find what is near to the points that were added last.

        Args:
            points: As many as were added last, each of which is compared with those that were added before it.

        Yields:
            Index of some points, int64 ``(pairs,)``, and the number of one that is near to each, int64 ``(pairs,)``.
        """
        before = self._index.ntotal - len(points)
        squares = _squares(points, self._centroids)
        nearest = squares.argmin(axis=1)
        lists = squares - squares.min(axis=1, keepdims=True) <= 2 * self._radius * self._apart[nearest] + _ROUNDING
        ends = np.cumsum(lists @ self._sizes)
        parts = np.unique(np.searchsorted(ends, np.arange(0, ends[-1], _SCANNED), side="right"))
        for rows in np.split(np.arange(len(points)), parts[parts > 0]):
            counts = np.count_nonzero(lists[rows], axis=1)
            self._index.nprobe = int(counts.max())
            probed = np.full((len(rows), self._index.nprobe), -1)  # faiss passes over -1
            probed[np.arange(self._index.nprobe) < counts[:, None]] = np.nonzero(lists[rows])[1]
            limits, _, numbers = self._index.range_search_preassigned(
                _rounded(points[rows]), self._rounded_radius**2, probed, None
            )
            rows = np.repeat(rows, np.diff(limits.astype(np.int64)))
            earlier = numbers < before + rows
            rows, numbers = rows[earlier], numbers[earlier]
            for first in range(0, len(rows), _VERIFIED):
                yield rows[first : first + _VERIFIED], numbers[first : first + _VERIFIED]


def _points(images: Any, numbers: np.ndarray) -> np.ndarray:
    """Return the points of the images with these numbers, some of which are read at a time."""
    blocks = np.split(numbers, range(_BLOCK, len(numbers), _BLOCK))
    return np.concatenate([_cells(thumbnails(images[block])) for block in blocks])


def _cells(small: np.ndarray) -> np.ndarray:
    count, side = len(small), small.shape[1] // _CELL
    return small.reshape(count, side, _CELL, side, _CELL, 3).mean(axis=(2, 4)).reshape(count, side * side * 3)


def _rounded(points: np.ndarray) -> np.ndarray:
    return np.rint(points).astype(np.float32)


def _squares(points: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """Return the square of the distance from each point to each centroid."""
    return (points**2).sum(axis=1)[:, None] + (centroids**2).sum(axis=1) - 2 * points @ centroids.T


def _distances(small: np.ndarray, images: Any, numbers: np.ndarray) -> np.ndarray:
    """Return the distance of each thumbnail from that of the image with a number, in gray levels."""
    different, places = np.unique(numbers, return_inverse=True)
    others = thumbnails(images[different])
    differences = small.astype(np.int32) - others[places]
    return np.sqrt((differences**2).sum(axis=(1, 2, 3)) / small[0].size)


def _sorted(blocks: list[Pairs]) -> Pairs:
    first, second = (np.concatenate([np.zeros(0, np.int64), *(pairs[place] for pairs in blocks)]) for place in (0, 1))
    distance = np.concatenate([np.zeros(0), *(pairs.distance for pairs in blocks)])
    order = np.lexsort((second, first))
    return Pairs(first[order], second[order], distance[order])
