"""The data doctor's search for pictures that are there more than once, or show nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from resnet50.data.finding import EXAMPLES, Finding, Pictures, Place, are, have, of
from resnet50.data.twins import join, thumbnails, twin_pairs
from resnet50.download import Progress

MEMBERS = 8
"""Most pictures that are named of a group of near-duplicates."""

_PLAIN = 2.0  # standard deviation in grey levels under which a picture is of one colour but for a JPEG's noise
_BLOCK = 256  # pictures between two steps of the bar


class _Pair(NamedTuple):
    number: int
    twin: int
    distance: float  # grey levels


def duplicates(pictures: Pictures, progress: Progress | None = None) -> Iterator[Finding]:
    """Find near-duplicates across parts, across classes, within a class of a part and mirrored; and single colours.

    Args:
        pictures: All pictures.
        progress: Called as the search goes on, with three steps for every picture.

    Yields:
        What was found.
    """
    count = len(pictures)

    def told(stage: int) -> Callable[[int], None]:
        return lambda done: progress(stage * count + done, 3 * count) if progress is not None else None

    small = _thumbnails(pictures, told(0))
    plain = _plain(pictures, small)  # these are like each other without being duplicates
    chosen = np.flatnonzero(~plain)
    parts = range(len(pictures.parts))
    leaks = {(early, late): _Nearest(count) for late in parts for early in range(late)}
    conflicts, repeats, mirrored = _Nearest(count), _Nearest(count), _Nearest(count)
    together = repeated = np.arange(count)
    for first, second, distance in twin_pairs(small[chosen], progress=told(1)):
        first, second = chosen[first], chosen[second]
        together = join(together, first, second)
        for (early, late), nearest in leaks.items():  # the second picture's part is never the earlier
            across = (pictures.part[first] == early) & (pictures.part[second] == late)
            nearest.add(second[across], first[across], distance[across])
        same = pictures.labels[first] == pictures.labels[second]
        conflicts.add(first[~same], second[~same], distance[~same])
        conflicts.add(second[~same], first[~same], distance[~same])
        same &= pictures.part[first] == pictures.part[second]
        repeats.add(second[same], first[same], distance[same])
        repeats.add(first[same], second[same], distance[same])
        repeated = join(repeated, first[same], second[same])
    for first, second, distance in twin_pairs(small[chosen], mirrored=True, progress=told(2)):
        first, second = chosen[first], chosen[second]
        apart = together[first] != together[second]  # the twins of a symmetric picture are its mirror images too
        mirrored.add(second[apart], first[apart], distance[apart])
    for (early, late), nearest in leaks.items():
        yield from _leak(pictures, pictures.parts[early], pictures.parts[late], nearest.pairs())
    yield from _conflict(pictures, conflicts.pairs())
    yield from _one_colour(pictures, np.flatnonzero(plain))
    yield from _repeat(pictures, repeats.pairs(), repeated)
    yield from _mirrored(pictures, mirrored.pairs())


class _Nearest:
    """Of each picture the nearest of its twins of some kind."""

    def __init__(self, count: int) -> None:
        self._distance = np.full(count, np.inf)
        self._twin = np.full(count, -1)

    def add(self, numbers: np.ndarray, twins: np.ndarray, distances: np.ndarray) -> None:
        order = np.argsort(-distances, kind="stable")
        order = order[distances[order] < self._distance[numbers[order]]]
        self._distance[numbers[order]] = distances[order]  # of a picture's several, the last is kept, the nearest
        self._twin[numbers[order]] = twins[order]

    def pairs(self) -> list[_Pair]:
        """Return each picture that has a twin, with the nearest; the nearest pair first."""
        order = np.argsort(self._distance, kind="stable")[: np.isfinite(self._distance).sum()]
        return [_Pair(int(number), int(self._twin[number]), float(self._distance[number])) for number in order]


def _thumbnails(pictures: Pictures, told: Callable[[int], None]) -> np.ndarray:
    blocks = []
    for split, begun in zip(pictures.splits.values(), pictures.starts, strict=True):
        for start in range(0, len(split), _BLOCK):
            blocks.append(thumbnails(split.images[start : start + _BLOCK]))
            told(int(begun) + start + len(blocks[-1]))
    return np.concatenate(blocks)


def _plain(pictures: Pictures, small: np.ndarray) -> np.ndarray:
    """Tell which pictures are of one colour."""
    plain = np.ptp(small, axis=(1, 2)).max(axis=1) < 2 * _PLAIN
    for number in np.flatnonzero(plain):  # a thumbnail averages fine patterns away
        plain[number] = pictures.image(number).std(axis=(0, 1)).max() < _PLAIN
    return plain


def _leak(pictures: Pictures, early: str, late: str, pairs: list[_Pair]) -> Iterator[Finding]:
    if pairs:
        shares = of(len(pairs), len(pictures.splits[late]), f"{late} pictures")
        yield Finding(
            kind="leak",
            severity="error",
            summary=f"{shares} {have(pairs)} a near-duplicate in the {early} part{_identical(pictures, pairs)}.",
            advice=f"A score on such pictures says nothing of new ones: take them out of the {late} part, or their "
            f"duplicates out of the {early} part.",
            examples=_examples(pictures, pairs),
        )


def _conflict(pictures: Pictures, pairs: list[_Pair]) -> Iterator[Finding]:
    if pairs:
        once = list({frozenset(pair[:2]): pair for pair in reversed(pairs)}.values())[::-1]
        yield Finding(
            kind="conflict",
            severity="error",
            summary=f"{of(len(pairs), len(pictures), 'pictures')} {have(pairs)} a near-duplicate of another class"
            f"{_identical(pictures, pairs)}.",
            advice="One label of the two is wrong, or the classes overlap: mend the label, or remove both.",
            examples=_examples(pictures, once),
        )


def _repeat(pictures: Pictures, pairs: list[_Pair], groups: np.ndarray) -> Iterator[Finding]:
    if pairs:
        members = np.split(np.argsort(groups, kind="stable"), np.cumsum(np.bincount(groups))[:-1])
        order = list(dict.fromkeys(int(groups[pair.number]) for pair in pairs))  # that of the nearest pair first
        shares = of(sum(len(members[group]) for group in order), len(pictures), "pictures")
        yield Finding(
            kind="duplicates",
            severity="note",
            summary=f"{shares} are near-duplicates of others of their class and part, in {len(order):,} "
            f"group{'s' * (len(order) > 1)}{_identical(pictures, pairs)}.",
            advice="They teach less than as many different ones. A part that is cut off here never parts them.",
            examples=tuple(
                tuple(pictures.place(number) for number in members[group][:MEMBERS]) for group in order[:EXAMPLES]
            ),
        )


def _mirrored(pictures: Pictures, pairs: list[_Pair]) -> Iterator[Finding]:
    if pairs:
        across = sum(bool(pictures.part[pair.number] != pictures.part[pair.twin]) for pair in pairs)
        yield Finding(
            kind="mirrored",
            severity="note",
            summary=f"{of(len(pairs), len(pictures), 'pictures')} {are(pairs)} the mirror image of another"
            f"{f', {across:,} across two parts' if across else ''}.",
            advice="A cut may part them; pictures of one group in a CSV file stay together.",
            examples=_examples(pictures, pairs),
        )


def _one_colour(pictures: Pictures, numbers: np.ndarray) -> Iterator[Finding]:
    if len(numbers):
        yield Finding(
            kind="plain",
            severity="warning",
            summary=f"{of(len(numbers), len(pictures), 'pictures')} {are(numbers)} of a single colour.",
            advice="There is nothing to learn from them: remove them.",
            examples=pictures.each([(number, "") for number in numbers]),
        )


def _identical(pictures: Pictures, pairs: list[_Pair]) -> str:
    """Say how many of the pictures have the same pixels as their twin."""
    same = sum(_same_pixels(pictures, pair) for pair in pairs)
    return f", {same:,} pixel by pixel" if same else ""


def _same_pixels(pictures: Pictures, pair: _Pair) -> bool:
    return pair.distance == 0 and np.array_equal(pictures.image(pair.number), pictures.image(pair.twin))


def _examples(pictures: Pictures, pairs: list[_Pair]) -> tuple[tuple[Place, ...], ...]:
    examples = []
    for pair in pairs[:EXAMPLES]:
        apart = "the same pixels" if _same_pixels(pictures, pair) else f"{pair.distance:.1f} grey levels apart"
        examples.append((pictures.place(pair.number), pictures.place(pair.twin, apart)))
    return tuple(examples)
