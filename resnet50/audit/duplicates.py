"""The audit's search for images that are there more than once, or show nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from resnet50._io.fetch import Progress
from resnet50._io.text import are, have, share_of
from resnet50.audit.issue import EXAMPLES, AllImages, Issue, Place
from resnet50.data.near_duplicates import join, near_duplicate_pairs, thumbnails

MEMBERS = 8
"""Most images that are named of a group of near-duplicates."""

_PLAIN = 2.0  # standard deviation in gray levels under which an image is of one color but for a JPEG's noise
_BLOCK = 256  # images between two steps of the bar


class _Pair(NamedTuple):
    number: int
    training_model: int
    distance: float  # gray levels


def duplicates(images: AllImages, progress: Progress | None = None) -> Iterator[Issue]:
    """Find near-duplicates across parts, across classes, within a class of a part and mirrored; and single colors.

    Args:
        images: All images.
        progress: Called as the search goes on, with three steps for every image.

    Yields:
        What was found.
    """
    count = len(images)

    def told(stage: int) -> Callable[[int], None]:
        return lambda done: progress(stage * count + done, 3 * count) if progress is not None else None

    small = _thumbnails(images, told(0))
    plain = _plain(images, small)  # these are like each other without being duplicates
    chosen = np.flatnonzero(~plain)
    splits = range(len(images.names))
    leaks = {(early, late): _Nearest(count) for late in splits for early in range(late)}
    conflicts, repeats, mirrored = _Nearest(count), _Nearest(count), _Nearest(count)
    together = repeated = np.arange(count)
    for first, second, distance in near_duplicate_pairs(small[chosen], progress=told(1)):
        first, second = chosen[first], chosen[second]
        together = join(together, first, second)
        for (early, late), nearest in leaks.items():  # the second image's part is never the earlier
            across = (images.split_index[first] == early) & (images.split_index[second] == late)
            nearest.add(second[across], first[across], distance[across])
        same = images.labels[first] == images.labels[second]
        conflicts.add(first[~same], second[~same], distance[~same])
        conflicts.add(second[~same], first[~same], distance[~same])
        same &= images.split_index[first] == images.split_index[second]
        repeats.add(second[same], first[same], distance[same])
        repeats.add(first[same], second[same], distance[same])
        repeated = join(repeated, first[same], second[same])
    for first, second, distance in near_duplicate_pairs(small[chosen], mirrored=True, progress=told(2)):
        first, second = chosen[first], chosen[second]
        apart = together[first] != together[second]  # the twins of a symmetric image are its mirror images too
        mirrored.add(second[apart], first[apart], distance[apart])
    for (early, late), nearest in leaks.items():
        yield from _leak(images, images.names[early], images.names[late], nearest.pairs())
    yield from _conflict(images, conflicts.pairs())
    yield from _one_color(images, np.flatnonzero(plain))
    yield from _repeat(images, repeats.pairs(), repeated)
    yield from _mirrored(images, mirrored.pairs())


class _Nearest:
    """Of each image the nearest of its twins of some kind."""

    def __init__(self, count: int) -> None:
        self._distance = np.full(count, np.inf)
        self._twin = np.full(count, -1)

    def add(self, numbers: np.ndarray, near_duplicates: np.ndarray, distances: np.ndarray) -> None:
        order = np.argsort(-distances, kind="stable")
        order = order[distances[order] < self._distance[numbers[order]]]
        self._distance[numbers[order]] = distances[order]  # of an image's several, the last is kept, the nearest
        self._twin[numbers[order]] = near_duplicates[order]

    def pairs(self) -> list[_Pair]:
        """Return each image that has a twin, with the nearest; the nearest pair first."""
        order = np.argsort(self._distance, kind="stable")[: np.isfinite(self._distance).sum()]
        return [_Pair(int(number), int(self._twin[number]), float(self._distance[number])) for number in order]


def _thumbnails(images: AllImages, told: Callable[[int], None]) -> np.ndarray:
    blocks = []
    for dataset, begun in zip(images.splits.values(), images.starts, strict=True):
        for start in range(0, len(dataset), _BLOCK):
            blocks.append(thumbnails(dataset.images[start : start + _BLOCK]))
            told(int(begun) + start + len(blocks[-1]))
    return np.concatenate(blocks)


def _plain(images: AllImages, small: np.ndarray) -> np.ndarray:
    """Tell which images are of one color."""
    plain = np.ptp(small, axis=(1, 2)).max(axis=1) < 2 * _PLAIN
    for number in np.flatnonzero(plain):  # a thumbnail averages fine patterns away
        plain[number] = images.image(number).std(axis=(0, 1)).max() < _PLAIN
    return plain


def _leak(images: AllImages, early: str, late: str, pairs: list[_Pair]) -> Iterator[Issue]:
    if pairs:
        shares = share_of(len(pairs), len(images.splits[late]), f"{late} images")
        yield Issue(
            kind="leak",
            severity="error",
            summary=f"{shares} {have(pairs)} a near-duplicate in the {early} part{_identical(images, pairs)}.",
            advice=f"A score on such images says nothing of new ones: take them out of the {late} part, or their "
            f"duplicates out of the {early} part.",
            examples=_examples(images, pairs),
        )


def _conflict(images: AllImages, pairs: list[_Pair]) -> Iterator[Issue]:
    if pairs:
        once = list({frozenset(pair[:2]): pair for pair in reversed(pairs)}.values())[::-1]
        yield Issue(
            kind="conflict",
            severity="error",
            summary=f"{share_of(len(pairs), len(images), 'images')} {have(pairs)} a near-duplicate of another class"
            f"{_identical(images, pairs)}.",
            advice="One label of the two is wrong, or the classes overlap: mend the label, or remove both.",
            examples=_examples(images, once),
        )


def _repeat(images: AllImages, pairs: list[_Pair], groups: np.ndarray) -> Iterator[Issue]:
    if pairs:
        members = np.split(np.argsort(groups, kind="stable"), np.cumsum(np.bincount(groups))[:-1])
        order = list(dict.fromkeys(int(groups[pair.number]) for pair in pairs))  # that of the nearest pair first
        shares = share_of(sum(len(members[group]) for group in order), len(images), "images")
        yield Issue(
            kind="duplicates",
            severity="note",
            summary=f"{shares} are near-duplicates of others of their class and part, in {len(order):,} "
            f"group{'s' * (len(order) > 1)}{_identical(images, pairs)}.",
            advice="They teach less than as many different ones. A part that is cut off here never parts them.",
            examples=tuple(
                tuple(images.place(number) for number in members[group][:MEMBERS]) for group in order[:EXAMPLES]
            ),
        )


def _mirrored(images: AllImages, pairs: list[_Pair]) -> Iterator[Issue]:
    if pairs:
        across = sum(bool(images.split_index[pair.number] != images.split_index[pair.training_model]) for pair in pairs)
        yield Issue(
            kind="mirrored",
            severity="note",
            summary=f"{share_of(len(pairs), len(images), 'images')} {are(pairs)} the mirror image of another"
            f"{f', {across:,} across two parts' if across else ''}.",
            advice="A cut may part them; images of one group in a CSV file stay together.",
            examples=_examples(images, pairs),
        )


def _one_color(images: AllImages, numbers: np.ndarray) -> Iterator[Issue]:
    if len(numbers):
        yield Issue(
            kind="plain",
            severity="warning",
            summary=f"{share_of(len(numbers), len(images), 'images')} {are(numbers)} of a single color.",
            advice="There is nothing to learn from them: remove them.",
            examples=images.each([(number, "") for number in numbers]),
        )


def _identical(images: AllImages, pairs: list[_Pair]) -> str:
    """Say how many of the images have the same pixels as their twin."""
    same = sum(_same_pixels(images, pair) for pair in pairs)
    return f", {same:,} pixel by pixel" if same else ""


def _same_pixels(images: AllImages, pair: _Pair) -> bool:
    return pair.distance == 0 and np.array_equal(images.image(pair.number), images.image(pair.training_model))


def _examples(images: AllImages, pairs: list[_Pair]) -> tuple[tuple[Place, ...], ...]:
    examples = []
    for pair in pairs[:EXAMPLES]:
        apart = "the same pixels" if _same_pixels(images, pair) else f"{pair.distance:.1f} gray levels apart"
        examples.append((images.place(pair.number), images.place(pair.training_model, apart)))
    return tuple(examples)
