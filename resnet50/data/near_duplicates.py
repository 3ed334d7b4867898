"""Find near-duplicate images: exactly, and in bounded memory even among 100,000; among more, copies alone.

Where more images are packed, all near-duplicates are found (`resnet50.data.near_duplicate_index`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from resnet50._io.fetch import Progress
from resnet50.data.lazy_images import LazyImages

NEAR_DUPLICATE_DISTANCE = 6.0
"""Two images are near-duplicates if their 16 x 16 thumbnails differ by less than this.

The unit is the root mean square difference in gray levels of 0..255. In SIGNS the distances between a photo and its
nearest neighbor form two clusters, with a gap from 3.5 to 5.
"""

LOOK_ALIKE = 20
"""Fewest images, connected by near-duplicates, that count as look-alikes."""

IDENTICAL_DISTANCE = 0.01
"""Two images count as identical if their 32 x 32 thumbnails differ by less than this: by not a single gray level."""

MOST_COMPARED = 200_000
"""Most images that are compared each with each, which takes 0.8 GB.

Of more, identical ones alone are found, or, when they are packed, all by an index.
"""

MAX_STORED_PAIRS = 2_000_000
"""Most pairs that are stored after a search: 48 MB. A few thousand copies of one image exceed it."""

_SIZE = 16  # height and width of a thumbnail in pixels
_FINE = 32  # height and width of a look-alike's thumbnail in pixels
_WHOLE_CLASS = 0.9  # share of a class that look-alikes have at least, if they are not more than half of all images
_SAMPLE = 256  # look-alikes whose distances to the nearest other one are measured
_EXACT = 1024  # products of two numbers of -128..127 that float32 sums up exactly: less than 2**24
_CELL = 2  # height and width of a cell in pixels; the first, coarse comparison uses the means of cells
_BLOCK = 1024  # images that are compared with as many others at a time, which takes about 20 MB
_STEP = 256  # images between two calls of progress
_SINGLE_COLOR = 2.0  # standard deviation in gray levels below which an image has one color and a JPEG's noise


Block = tuple[slice, np.ndarray]  # numbers of some images, and the images


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
class LookAlikes:
    """Images that are compared more finely, since 16 x 16 thumbnails do not tell them apart.

    Images of a fixed camera are an example: all of them would be near-duplicates of each other.

    Attributes:
        numbers: Their numbers, ascending, int64 ``(m,)``.
        thumbnails: uint8 ``(m, 32, 32, 3)``.
        distance: Two of them are near-duplicates if these thumbnails differ by less than this, in gray levels: half of
            the median distance from a look-alike to the nearest other one, or `IDENTICAL_DISTANCE`.
    """

    numbers: np.ndarray
    thumbnails: np.ndarray
    distance: float

    def pairs(self, *, mirrored: bool = False, progress: Callable[[int], None] | None = None) -> Iterator[Pairs]:
        """Search them for near-duplicates, as `near_duplicate_pairs` does; yield pairs of their numbers."""
        found = near_duplicate_pairs(self.thumbnails, distance=self.distance, mirrored=mirrored, progress=progress)
        for pairs in found:
            yield Pairs(self.numbers[pairs.first], self.numbers[pairs.second], pairs.distance)

    def renumber(self, position: np.ndarray) -> LookAlikes:
        """Return them with other numbers, int64: the new number of each image."""
        numbers = position[self.numbers]
        order = np.argsort(numbers)
        return LookAlikes(numbers[order], self.thumbnails[order], self.distance)


@dataclass(frozen=True, eq=False)
class Copies:
    """Hashes of images of which only identical ones are near-duplicates, in time and memory of their number.

    Attributes:
        thumbnails: The same number for equal 32 x 32 thumbnails, int32 or int64 ``(n,)``, 0 or more.
        mirrored: The number of each thumbnail's mirror image, of the same type, ``(n,)``.
    """

    thumbnails: np.ndarray
    mirrored: np.ndarray

    def pairs(
        self, left_out: np.ndarray, *, mirrored: bool = False, progress: Callable[[int], None] | None = None
    ) -> Iterator[Pairs]:
        """Yield pairs of identical images, or of mirror images, block by block.

        Args:
            left_out: Images that are in no pair, bool ``(n,)``.
            mirrored: Whether one image of each pair is the other's mirror image.
            progress: Called with the number of images whose pairs are all found.
        """
        numbers, others = self.thumbnails, self.mirrored if mirrored else self.thumbnails
        chosen = np.flatnonzero(~left_out)
        chosen = chosen[_are_repeated(numbers[chosen], others[chosen], itself=not mirrored)]
        numbers, others = numbers[chosen], others[chosen]
        order = np.argsort(others, kind="stable")
        begins, ends = (np.searchsorted(others[order], numbers, side) for side in ("left", "right"))
        candidates = np.cumsum(ends - begins)
        # blocks of about as many candidates as the exact search has in one
        blocks = np.unique(np.searchsorted(candidates, np.arange(0, candidates[-1:].sum(), _BLOCK**2)))
        for top, bottom in pairwise([*blocks.tolist(), len(chosen)]):
            sizes = ends[top:bottom] - begins[top:bottom]
            first = np.repeat(np.arange(top, bottom), sizes)
            within = np.arange(len(first)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
            second = order[np.repeat(begins[top:bottom], sizes) + within]
            once = first < second  # each pair once, and no image with itself
            if once.any():
                yield Pairs(chosen[first[once]], chosen[second[once]], np.zeros(np.count_nonzero(once)))
            if progress is not None:
                progress(int(chosen[bottom - 1]) + 1)

    def reorder(self, order: np.ndarray) -> Copies:
        """Return the hashes of images in another order, by the old number of each, int64 ``(n,)``."""
        return Copies(self.thumbnails[order], self.mirrored[order])


@dataclass(frozen=True, eq=False)
class NearDuplicates:
    """The result of one search in all images of all splits, which are numbered consecutively.

    Memory stays bounded. Images of a single color resemble each other without being copies, and there may be
    thousands of them: they are in ``groups``, one number each, and never in `pairs`. Other pairs are stored up to
    `MAX_STORED_PAIRS`; if there are more, none are stored and `pairs` searches again.

    Attributes:
        thumbnails: uint8 ``(n, 16, 16, 3)``; None where only copies are found.
        single_color: Whether an image shows nothing but one color, bool ``(n,)``.
        groups: Images of one split have the same number if near-duplicates of that split connect them, directly or
            through others; int64 ``(n,)``, counted from 0 in order of first appearance.
        stored: Pairs without images of a single color; None if there were too many.
        look_alikes: Images that were compared more finely; None if there are none.
        copies: Hashes of the images where only identical ones are found: on demand, or among more than
            `MOST_COMPARED`; else None.
        mirrored: Pairs of mirror images, if they were stored too; None to search for them.
    """

    thumbnails: np.ndarray | None
    single_color: np.ndarray
    groups: np.ndarray
    stored: tuple[Pairs, ...] | None
    look_alikes: LookAlikes | None = None
    copies: Copies | None = None
    mirrored: tuple[Pairs, ...] | None = None

    @classmethod
    def of_copies(cls, copies: Copies, single_color: np.ndarray, split: np.ndarray) -> NearDuplicates:
        """Return identical images as near-duplicates, with the split of each image, int64 ``(n,)``."""
        sizes = np.bincount(copies.thumbnails[~single_color])
        few = (sizes * (sizes - 1) // 2).sum() <= MAX_STORED_PAIRS
        groups = _renumber(copies.thumbnails * (int(split.max(initial=0)) + 1) + split)
        return cls(None, single_color, groups, tuple(copies.pairs(single_color)) if few else None, copies=copies)

    @classmethod
    def of_pairs(
        cls, pairs: Pairs, mirrored: Pairs, *, identical: NearDuplicates, split: np.ndarray, labels: np.ndarray
    ) -> NearDuplicates | None:
        """Return near-duplicates whose pairs are all known; None if so many look alike that no cut could separate them.

        Args:
            pairs: All pairs in which neither image is of a single color.
            mirrored: The same of mirror images.
            identical: What `of_copies` returns for these images. Those of a single color have its groups.
            split: The split of each image, int64 ``(n,)``.
            labels: The class of each image, int64 ``(n,)``.
        """
        single_color = identical.single_color
        groups, stored, connected = _collect(iter([pairs]), single_color, split)
        if len(_look_alike_numbers(connected, single_color, labels)):
            return None
        first = np.unique(identical.groups, return_index=True)[1]
        groups = join(groups, np.arange(len(groups)), first[identical.groups])
        return cls(None, single_color, groups, stored, mirrored=(mirrored,))

    def pairs(self) -> Iterator[Pairs]:
        """Yield all pairs of near-duplicates in which neither image is of a single color, block by block."""
        if self.stored is not None:
            yield from self.stored
        else:
            yield from self._search()

    def mirrored_pairs(self, *, progress: Callable[[int], None] | None = None) -> Iterator[Pairs]:
        """Search for pairs in which one image is a near-duplicate of the other's mirror image.

        Args:
            progress: Called with the number of images whose pairs are all found.

        Yields:
            Pairs in which neither image is of a single color, block by block.
        """
        yield from self._search(mirrored=True, progress=progress) if self.mirrored is None else self.mirrored
        if progress is not None:
            progress(len(self.groups))

    def _search(self, *, mirrored: bool = False, progress: Callable[[int], None] | None = None) -> Iterator[Pairs]:
        if self.copies is not None:
            yield from self.copies.pairs(self.single_color, mirrored=mirrored, progress=progress)
        elif self.thumbnails is not None:
            yield from _search(
                self.thumbnails, self.look_alikes, left_out=self.single_color, mirrored=mirrored, progress=progress
            )

    def reorder(self, order: np.ndarray) -> NearDuplicates:
        """Return the same near-duplicates for images that were put in another order, without a search.

        Args:
            order: Old number of each image, int64 ``(n,)``, a permutation.
        """
        position = np.empty_like(order)
        position[order] = np.arange(len(order))
        stored, mirrored = (
            None
            if found is None
            else tuple(_sorted_pairs(position[each.first], position[each.second], each.distance) for each in found)
            for found in (self.stored, self.mirrored)
        )
        groups = _renumber(self.groups[order])
        return NearDuplicates(
            None if self.thumbnails is None else self.thumbnails[order],
            self.single_color[order],
            groups,
            stored,
            None if self.look_alikes is None else self.look_alikes.renumber(position),
            None if self.copies is None else self.copies.reorder(order),
            mirrored,
        )


def find_near_duplicates(
    splits: Sequence[np.ndarray | LazyImages],
    *,
    labels: np.ndarray | None = None,
    identical_only: bool = False,
    progress: Progress | None = None,
) -> NearDuplicates:
    """Search all images of all splits for near-duplicates.

    The time of the search grows with the square of their number. Among more than `MOST_COMPARED` images, therefore,
    only identical ones count, which their hashes show.

    No cut could separate the images of a fixed camera, which are all near-duplicates. They are compared more finely
    (`LookAlikes`), so that at least half of them have no near-duplicate. This holds for `LOOK_ALIKE` or more images
    that near-duplicates connect, if they are more than half of all; or, together more than half of all, whole classes.

    Args:
        splits: The images of each split, uint8 ``(n, height, width, 3)``; they may lie in a file.
        labels: Class of each image, int64 ``(n,)``, of all splits together; None where it is not known.
        identical_only: Whether identical images alone are near-duplicates.
        progress: Called with the steps done and their number, two for each image.

    Returns:
        The near-duplicates; images are numbered in the order of the splits.
    """
    count = sum(map(len, splits))

    def report(start: int) -> Callable[[int], None]:
        return lambda done: progress(start + done, 2 * count) if progress is not None else None

    split = np.repeat(np.arange(len(splits)), list(map(len, splits)))
    if identical_only or count > MOST_COMPARED:
        found = _find_copies(splits, split, report(0))
        report(count)(count)
        return found
    small, single_color = _shrink(splits, report(0))
    groups, stored, connected = _collect(_search(small, None, progress=report(count)), single_color, split)
    numbers = _look_alike_numbers(connected, single_color, labels)
    alike = _look_alikes(splits, numbers) if len(numbers) else None
    if alike is not None:
        groups, stored, _ = _collect(_search(small, alike), single_color, split)
    return NearDuplicates(small, single_color, groups, stored, alike)


def _blocks(splits: Sequence[np.ndarray | LazyImages], report: Callable[[int], None]) -> Iterator[Block]:
    """Read the images of all splits, some at a time, with the numbers that they have."""
    start = 0
    for images in splits:
        for first in range(0, len(images), _STEP):
            block = np.asarray(images[first : first + _STEP])
            yield slice(start, start + len(block)), block
            start += len(block)
            report(start)


def _find_copies(
    splits: Sequence[np.ndarray | LazyImages], split: np.ndarray, report: Callable[[int], None]
) -> NearDuplicates:
    """Find identical images; ``split`` is the split of each image."""
    # all are 16 bytes long, so that it does no harm that "S16" takes zeros at the end for padding
    hashes, single_color = np.empty((2, len(split)), dtype="S16"), np.empty(len(split), dtype=bool)
    for here, block in _blocks(splits, report):
        fine = [_shrunk(image, _FINE) for image in block]
        hashes[0, here] = [_hash(image) for image in fine]
        hashes[1, here] = [_hash(image[:, ::-1]) for image in fine]
        single_color[here] = _has_single_color(block, thumbnails(block))
    numbers = np.unique(hashes, return_inverse=True)[1].reshape(hashes.shape)
    return NearDuplicates.of_copies(Copies(numbers[0], numbers[1]), single_color, split)


def _hash(image: np.ndarray) -> bytes:
    return hashlib.blake2b(image.tobytes(), digest_size=16).digest()


def _shrink(splits: Sequence[np.ndarray | LazyImages], report: Callable[[int], None]) -> tuple[np.ndarray, np.ndarray]:
    """Return the thumbnail of each image, and whether it has a single color."""
    count = sum(map(len, splits))
    small, single_color = np.empty((count, _SIZE, _SIZE, 3), dtype=np.uint8), np.empty(count, dtype=bool)
    for here, block in _blocks(splits, report):
        small[here] = thumbnails(block)
        single_color[here] = _has_single_color(block, small[here])
    return small, single_color


def _collect(
    found: Iterator[Pairs], single_color: np.ndarray, split: np.ndarray
) -> tuple[np.ndarray, tuple[Pairs, ...] | None, np.ndarray]:
    """Return groups and pairs, as `NearDuplicates` has them, and groups of images of whatever splits."""
    groups = connected = np.arange(len(split))
    stored, pairs_found = list[Pairs](), 0
    for pairs in found:
        within = pairs.where(split[pairs.first] == split[pairs.second])
        groups = join(groups, within.first, within.second)
        reported = _drop(pairs, single_color)
        connected = join(connected, reported.first, reported.second)
        pairs_found += len(reported.first)
        if pairs_found > MAX_STORED_PAIRS:
            stored.clear()
        elif len(reported.first):
            stored.append(reported)
    return groups, tuple(stored) if pairs_found <= MAX_STORED_PAIRS else None, connected


def _search(
    small: np.ndarray,
    alike: LookAlikes | None,
    *,
    left_out: np.ndarray | None = None,
    mirrored: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Iterator[Pairs]:
    """Yield all pairs of near-duplicates, without the images that are left out; compare look-alikes more finely."""
    count = len(small)
    is_alike, is_out = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool) if left_out is None else left_out
    if alike is not None:
        is_alike[alike.numbers] = True
    if not is_alike.all() or not count:
        chosen = np.flatnonzero(~is_out)
        for pairs in near_duplicate_pairs(small[chosen], mirrored=mirrored, progress=progress):
            pairs = Pairs(chosen[pairs.first], chosen[pairs.second], pairs.distance)
            yield pairs.where(~(is_alike[pairs.first] & is_alike[pairs.second]))
    if alike is not None:
        for pairs in alike.pairs(mirrored=mirrored, progress=progress):
            yield _drop(pairs, is_out)


def _look_alike_numbers(connected: np.ndarray, single_color: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
    """Return the numbers of the images that are too many to be near-duplicates of each other."""
    count, group = len(connected), np.where(single_color, -1, connected)
    numbers, sizes = np.unique(group[group >= 0], return_counts=True)
    is_large = sizes >= LOOK_ALIKE
    large, chosen = numbers[is_large], numbers[is_large & (2 * sizes > count)]
    if labels is not None and not len(chosen):
        least = _WHOLE_CLASS * np.maximum(np.bincount(labels), 1)
        members = np.isin(group, large)
        pairs, counts = np.unique(group[members] * len(least) + labels[members], return_counts=True)
        of_group, label = np.divmod(pairs, len(least))
        whole = np.unique(of_group[counts >= least[label]])
        chosen = whole if 2 * np.isin(group, whole).sum() > count else whole[:0]
    return np.flatnonzero(np.isin(group, chosen))


def _look_alikes(splits: Sequence[np.ndarray | LazyImages], numbers: np.ndarray) -> LookAlikes | None:
    """Return the images with these numbers as look-alikes; None if they are copies of each other."""
    fine = _fine_thumbnails(splits, numbers)
    nearest = _nearest_distances(fine)
    if nearest.max() < IDENTICAL_DISTANCE:
        return None
    distance = min(float(np.median(nearest)) / 2, NEAR_DUPLICATE_DISTANCE)
    return LookAlikes(numbers, fine, max(distance, IDENTICAL_DISTANCE))


def _fine_thumbnails(splits: Sequence[np.ndarray | LazyImages], numbers: np.ndarray) -> np.ndarray:
    fine = np.empty((len(numbers), _FINE, _FINE, 3), dtype=np.uint8)
    ends = np.cumsum([0, *map(len, splits)])
    for k, number in enumerate(numbers):
        split = int(np.searchsorted(ends, number, side="right")) - 1
        fine[k] = _shrunk(splits[split][number - ends[split]], _FINE)
    return fine


def _nearest_distances(fine: np.ndarray) -> np.ndarray:
    """Return the distance from some images to the nearest other one, in gray levels."""
    count, size = len(fine), fine[0].size
    chosen = np.random.default_rng(0).permutation(count)[:_SAMPLE]
    some = fine[chosen].reshape(len(chosen), size).astype(np.float64) - 128
    nearest = np.full(len(chosen), np.inf)
    for start in range(0, count, _BLOCK):
        others = fine[start : start + _BLOCK].reshape(-1, size).astype(np.float64) - 128
        squares = (some**2).sum(axis=1)[:, None] + (others**2).sum(axis=1) - 2 * some @ others.T
        squares[chosen[:, None] == np.arange(start, start + len(others))] = np.inf
        nearest = np.minimum(nearest, squares.min(axis=1))
    return np.sqrt(np.maximum(nearest, 0) / size)


def thumbnails(images: np.ndarray | LazyImages) -> np.ndarray:
    """Shrink images to the size at which near-duplicates are compared.

    Args:
        images: uint8 ``(n, height, width, 3)``; may lie in a file, which is read image by image.

    Returns:
        uint8 ``(n, 16, 16, 3)``, 0..255, each pixel the mean of its part of the image.
    """
    small = np.empty((len(images), _SIZE, _SIZE, 3), dtype=np.uint8)
    for k, image in enumerate(images):
        small[k] = _shrunk(image, _SIZE)
    return small


def _shrunk(image: np.ndarray, size: int) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BOX))


def near_duplicate_pairs(
    small: np.ndarray,
    *,
    distance: float = NEAR_DUPLICATE_DISTANCE,
    mirrored: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Iterator[Pairs]:
    """Find all pairs of near-duplicates: thumbnails that differ by less than a distance.

    The search is exact. Its time grows with the number of pairs of similar brightness: two means, of whole thumbnails
    or of their cells, never differ by more than the thumbnails themselves, so a few numbers rule most pairs out.

    Args:
        small: `thumbnails`, uint8 ``(n, 16, 16, 3)``, or larger ones.
        distance: In gray levels.
        mirrored: Compare each with the mirror images of the others instead.
        progress: Called with the number of images whose pairs are all found.

    Yields:
        The pairs of one block of comparisons.
    """
    count, side = len(small), small.shape[1]
    size = side * side * 3
    exact: Any = np.float32 if size <= _EXACT else np.float64
    cells = small.reshape(count, side // _CELL, _CELL, side // _CELL, _CELL, 3).mean(axis=(2, 4), dtype=exact)
    means = cells.mean(axis=(1, 2, 3), dtype=np.float64)
    order = np.argsort(means, kind="stable")
    means, small, cells = means[order], small[order], cells[order] - exact(127.5)
    others = small[:, :, ::-1] if mirrored else small
    left, right = (each.reshape(count, size // _CELL**2) for each in (cells, cells[:, :, ::-1] if mirrored else cells))
    # |a - b|^2 < d^2 is a.b - |a|^2 / 2 - |b|^2 / 2 + d^2 / 2 > 0: one product of matrices with two more columns
    half = (left**2).sum(axis=1, keepdims=True) / 2
    nearest = exact(1.01 * distance**2 * left.shape[1] / 2)  # 1 % more, since floats are rounded
    ones = np.ones_like(half)
    left, right = np.hstack([left, nearest - half, ones]), np.hstack([right, ones, -half])
    ends = np.searchsorted(means, means + 1.01 * distance)
    for top in range(0, count, _BLOCK):
        bottom = min(top + _BLOCK, count)
        for start in range(top, ends[bottom - 1], _BLOCK):
            close = left[top:bottom] @ right[start : start + _BLOCK].T > 0
            if start == top:
                close = np.triu(close, 1)  # each pair once, and no image with itself
            rows, columns = np.flatnonzero(close.any(axis=1)) + top, np.flatnonzero(close.any(axis=0)) + start
            if not len(rows):
                continue
            a = small[rows].reshape(len(rows), size).astype(exact) - 128
            b = others[columns].reshape(len(columns), size).astype(exact) - 128
            lengths = (a**2).sum(axis=1, dtype=np.float64)[:, None] + (b**2).sum(axis=1, dtype=np.float64)
            squares = lengths - 2 * (a @ b.T).astype(np.float64)
            i, j = np.nonzero((squares < distance**2 * size) & (rows[:, None] < columns))
            if len(i):
                yield _sorted_pairs(order[rows[i]], order[columns[j]], np.sqrt(squares[i, j] / size))
        if progress is not None:
            progress(bottom)


def near_duplicate_groups(images: np.ndarray | LazyImages, labels: np.ndarray | None = None) -> np.ndarray:
    """Group images that near-duplicates connect, directly or through others.

    Args:
        images: uint8 ``(n, height, width, 3)``; may lie in a file.
        labels: Class of each image, int64 ``(n,)``; None where it is not known.

    Returns:
        Group of each image, int64 ``(n,)``, counted from 0 in order of first appearance.
    """
    return find_near_duplicates([images], labels=labels).groups


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


def _are_repeated(numbers: np.ndarray, others: np.ndarray, *, itself: bool) -> np.ndarray:
    """Return whether each number is one of the others, or the other at its place one of the numbers, bool ``(n,)``.

    Where both are the same, a number is there twice by itself. Most images have no copy: what is done for the others
    takes a fraction of the memory.
    """
    size = max(numbers.max(initial=0), others.max(initial=0)) + 1
    times = np.bincount(others, minlength=size)[numbers] + np.bincount(numbers, minlength=size)[others]
    return times > 2 * itself


def _sorted_pairs(one: np.ndarray, other: np.ndarray, distance: np.ndarray) -> Pairs:
    return Pairs(np.minimum(one, other), np.maximum(one, other), distance)


def _drop(pairs: Pairs, left_out: np.ndarray) -> Pairs:
    """Return the pairs in which neither image is left out."""
    return pairs.where(~(left_out[pairs.first] | left_out[pairs.second]))


def _renumber(groups: np.ndarray) -> np.ndarray:
    """Count groups from 0 in order of first appearance."""
    first = np.zeros(groups.max(initial=0) + 1, np.int64)
    first[groups[::-1]] = np.arange(len(groups))[::-1]  # the last assignment to a group is its first image
    first = first[groups]
    return (np.cumsum(first == np.arange(len(groups))) - 1)[first]
