"""Audit images for near-duplicates, mirror images and images of a single color."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from itertools import combinations
from typing import NamedTuple

import numpy as np

from resnet50._io.fetch import Progress
from resnet50._io.text import are, have, plural, share_of
from resnet50.audit.issue import EXAMPLES, AllImages, Issue, Place
from resnet50.data.lazy_images import LazyImages
from resnet50.data.near_duplicates import MAX_STORED_PAIRS, MOST_COMPARED, LookAlikes, Pairs, join
from resnet50.data.splits import DatasetSplits

MEMBERS = 8
"""Most images that are named of a group of near-duplicates."""


_MANY = 0.05  # share of a class from which mirror images in another class are more than an accident


class _Pair(NamedTuple):
    """An image and its nearest near-duplicate: their numbers, and their distance in gray levels."""

    number: int
    nearest: int
    distance: float


def duplicates(images: AllImages, splits: DatasetSplits, *, progress: Progress | None = None) -> Iterator[Issue]:
    """Report near-duplicates across splits, across classes and within a class, mirror images and single colors.

    The near-duplicates are those of ``splits.near_duplicates``, so that a run searches once.

    Args:
        images: All images of the splits.
        splits: The splits.
        progress: Called with the steps done and their number, three for each image.

    Yields:
        The issues.
    """
    count = len(images)
    near_duplicates = splits.find_near_duplicates(progress=_steps(progress, 0, 3 * count))
    if near_duplicates.look_alikes is not None:
        yield _look_alike(images, near_duplicates.look_alikes)
    if near_duplicates.copies is not None and not splits.identical_only:
        yield _copies_only(count, splits)
    leaks = {pair: _Nearest(count) for pair in combinations(range(len(images.names)), 2)}
    conflicts, repeats, mirrored, crossing = (_Nearest(count) for _ in range(4))
    connected = repeated = np.arange(count)
    for pairs in near_duplicates.pairs():
        first, second = images.split_index[pairs.first], images.split_index[pairs.second]
        same_class = images.labels[pairs.first] == images.labels[pairs.second]
        for (early, late), nearest in leaks.items():  # images are numbered split by split, so second is never earlier
            nearest.add_second(pairs.where((first == early) & (second == late)))
        conflicts.add(pairs.where(~same_class))
        within = pairs.where(same_class & (first == second))
        repeats.add(within)
        connected = join(connected, pairs.first, pairs.second)
        repeated = join(repeated, within.first, within.second)
    report = _steps(progress, 2 * count, 3 * count)
    for pairs in near_duplicates.mirrored_pairs(progress=None if report is None else lambda done: report(done, count)):
        # a near-duplicate of a symmetric image is its mirror image too
        different = pairs.where(connected[pairs.first] != connected[pairs.second])
        same_class = images.labels[different.first] == images.labels[different.second]
        mirrored.add_second(different.where(same_class))
        crossing.add(different.where(~same_class))
    for (early, late), nearest in leaks.items():
        yield from _leak(images, images.names[early], images.names[late], nearest.pairs())
    yield from _conflict(images, conflicts.pairs())
    cropped = splits.root is not None and splits.fit.mode == "crop"
    yield from _single_color(images, np.flatnonzero(near_duplicates.single_color), cropped=cropped)
    yield from _repeat(images, repeats.pairs(), repeated)
    yield from _mirrored(images, mirrored.pairs())
    yield from _mirrored_classes(images, crossing.pairs())


def _steps(progress: Progress | None, start: int, total: int) -> Progress | None:
    """Return a progress of some steps as one of all steps."""
    return None if progress is None else lambda done, _: progress(start + done, total)


class _Nearest:
    """The nearest near-duplicate of each image; of several at the same distance, the one with the smallest number.

    There are seven of them, and a million images take 12 MB in each that has pairs.
    """

    def __init__(self, count: int) -> None:
        self._count = count

    @cached_property
    def _distance(self) -> np.ndarray:
        return np.full(self._count, np.inf)

    @cached_property
    def _nearest(self) -> np.ndarray:
        return np.full(self._count, self._count, np.int32)

    def add(self, pairs: Pairs) -> None:
        """Consider pairs for both images of each."""
        self.add_second(pairs)
        self.add_second(Pairs(pairs.second, pairs.first, pairs.distance))

    def add_second(self, pairs: Pairs) -> None:
        """Consider pairs for the second image of each."""
        numbers, others = pairs.second, pairs.first
        if not len(numbers):
            return
        closer = pairs.distance < self._distance[numbers]
        closer |= (pairs.distance == self._distance[numbers]) & (others < self._nearest[numbers])
        numbers, others, distances = numbers[closer], others[closer], pairs.distance[closer]
        order = np.lexsort((-others, -distances))  # the last assignment to an image is the nearest, smallest number
        self._distance[numbers[order]] = distances[order]
        self._nearest[numbers[order]] = others[order]

    def pairs(self) -> list[_Pair]:
        """Return each image that has a near-duplicate, with the nearest; the nearest pair first."""
        if "_distance" not in vars(self):
            return []
        order = np.argsort(self._distance, kind="stable")[: np.isfinite(self._distance).sum()]
        return [_Pair(int(number), int(self._nearest[number]), float(self._distance[number])) for number in order]


def _look_alike(images: AllImages, look_alikes: LookAlikes) -> Issue:
    numbers = look_alikes.numbers
    return Issue(
        kind="look-alike",
        severity="warning",
        summary=f"{share_of(len(numbers), len(images), 'images')} look alike, as those of a fixed camera do. Here they "
        f"count as near-duplicates below {look_alikes.distance:.2g} gray levels, half of their usual distance to the "
        "nearest other one.",
        advice="If they are frames of one video or a burst, give each a group: a cut separates the others, and the "
        "score is too high for another scene.",
        examples=images.each([(number, "") for number in numbers[:MEMBERS]]),
    )


def _copies_only(count: int, splits: DatasetSplits) -> Issue:
    packed = all(isinstance(each.images, LazyImages) and each.images.is_encoded for each in splits.by_name.values())
    why = f"there are more than {MAX_STORED_PAIRS:,} pairs of near-duplicates"
    advice = "give them groups in a CSV file, or audit a part of the images"
    if count > MOST_COMPARED and packed and splits.corrections is None:
        why += ", to find them would take hours, or whole classes look alike"
    elif count > MOST_COMPARED:
        why = f"{plural(count, 'image')} are more than the {MOST_COMPARED:,} that are compared each with each"
        advice = "pack the image files by resnet50 pack --records, which searches for them once"
        if packed:
            advice = "give the corrections to resnet50 pack --records, which searches for them once"
    return Issue(
        kind="copies-only",
        severity="note",
        summary=f"Only identical images count as near-duplicates, since {why}.",
        advice=f"Images that were encoded or resized again, and bursts, are not found: {advice}.",
    )


def _leak(images: AllImages, early: str, late: str, pairs: list[_Pair]) -> Iterator[Issue]:
    if pairs:
        shares = share_of(len(pairs), len(images.splits[late]), f"{late} images")
        yield Issue(
            kind="leak",
            severity="error",
            summary=f"{shares} {have(pairs)} a near-duplicate in the {early} split{_identical(images, pairs)}.",
            advice=f"A score on such images does not hold for new ones: remove them from the {late} split, or their "
            f"near-duplicates from the {early} split.",
            examples=_examples(images, pairs),
        )


def _conflict(images: AllImages, pairs: list[_Pair]) -> Iterator[Issue]:
    if pairs:
        yield Issue(
            kind="label-conflict",
            severity="error",
            summary=f"{share_of(len(pairs), len(images), 'images')} {have(pairs)} a near-duplicate of another class"
            f"{_identical(images, pairs)}.",
            advice="One of the two labels is wrong, or the classes overlap: correct the label, or remove both images.",
            examples=_examples(images, _distinct(pairs)),
        )


def _repeat(images: AllImages, pairs: list[_Pair], groups: np.ndarray) -> Iterator[Issue]:
    if pairs:
        numbers, sizes = np.argsort(groups, kind="stable"), np.bincount(groups)
        ends = np.cumsum(sizes)
        order = list(dict.fromkeys(int(groups[pair.number]) for pair in pairs))  # that of the nearest pair first
        shares = share_of(int(sizes[order].sum()), len(images), "images")
        yield Issue(
            kind="near-duplicates",
            severity="note",
            summary=f"{shares} are near-duplicates of others of their class and split, in "
            f"{plural(len(order), 'group')}{_identical(images, pairs)}.",
            advice="They teach less than as many different images. A cut never separates near-duplicates.",
            examples=tuple(
                tuple(images.place(number) for number in numbers[ends[group] - sizes[group] : ends[group]][:MEMBERS])
                for group in order[:EXAMPLES]
            ),
        )


def _mirrored(images: AllImages, pairs: list[_Pair]) -> Iterator[Issue]:
    if pairs:
        across = sum(bool(images.split_index[pair.number] != images.split_index[pair.nearest]) for pair in pairs)
        yield Issue(
            kind="mirrored",
            severity="note",
            summary=f"{share_of(len(pairs), len(images), 'images')} {are(pairs)} the mirror image of another"
            f"{f', {across:,} across two splits' if across else ''}.",
            advice="A cut may separate them; give them one group in a CSV file to keep them together.",
            examples=_examples(images, pairs),
        )


def _mirrored_classes(images: AllImages, pairs: list[_Pair]) -> Iterator[Issue]:
    """Report the two classes that most mirror images connect."""
    if not pairs:
        return
    labels = images.labels[np.array([(pair.number, pair.nearest) for pair in pairs])]
    both = np.sort(labels, axis=1)
    (first, second), count = Counter(map(tuple, both.tolist())).most_common(1)[0]
    of_first = int((labels[:, 0] == first)[(both == (first, second)).all(axis=1)].sum())
    totals = np.bincount(images.labels, minlength=len(images.class_names))
    parts = [
        (mirrored, int(totals[label]), images.class_names[label])
        for mirrored, label in ((of_first, first), (count - of_first, second))
    ]
    described = " and ".join(share_of(mirrored, total, f"images of {name!r}") for mirrored, total, name in parts)
    others = f"; {plural(len(pairs) - count, 'image')} in other pairs of classes" if len(pairs) > count else ""
    yield Issue(
        kind="mirrored-classes",
        severity="warning" if any(mirrored >= _MANY * total for mirrored, total, _ in parts) else "note",
        summary=f"{described} are mirror images of the other class{others}.",
        advice="Mirroring turns one class into the other: train with --no-flip. Training asks for a choice where it "
        "would mirror images by default.",
        examples=_examples(images, _distinct(pairs)),
    )


def _single_color(images: AllImages, numbers: np.ndarray, *, cropped: bool) -> Iterator[Issue]:
    if len(numbers):
        yield Issue(
            kind="single-color",
            severity="warning",
            summary=f"{share_of(len(numbers), len(images), 'images')} {are(numbers)} of a single color.",
            advice="A network cannot learn from them: remove them"
            f"{', or use --fit pad where only the center has one color' if cropped else ''}.",
            examples=images.each([(number, "") for number in numbers]),
        )


def _distinct(pairs: list[_Pair]) -> list[_Pair]:
    """Return each pair once, though each of its images names the other."""
    return list({frozenset(pair[:2]): pair for pair in reversed(pairs)}.values())[::-1]


def _identical(images: AllImages, pairs: list[_Pair]) -> str:
    """Describe how many of the images have the same pixels as their near-duplicate."""
    same = sum(_same_pixels(images, pair) for pair in pairs)
    return f", {same:,} pixel by pixel" if same else ""


def _same_pixels(images: AllImages, pair: _Pair) -> bool:
    return pair.distance == 0 and images.same_pixels(pair.number, pair.nearest)


def _examples(images: AllImages, pairs: list[_Pair]) -> tuple[tuple[Place, ...], ...]:
    examples = []
    for pair in pairs[:EXAMPLES]:
        remark = "the same pixels" if _same_pixels(images, pair) else f"{pair.distance:.1f} gray levels apart"
        examples.append((images.place(pair.number), images.place(pair.nearest, remark)))
    return tuple(examples)
