"""Issues that follow from names and counts alone: classes of one name, classes and test splits with too few images."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import numpy as np

from resnet50._io.text import have, listed, plural
from resnet50.audit.issue import AllImages, Issue
from resnet50.data.options import DEFAULT_OPTIONS

FEW = 10
"""A class with fewer training images is reported as small."""

IMBALANCE = 5
"""Classes are imbalanced if the largest has at least this many times the training images of the smallest."""

_OTHER_SIDE = {"left": "right", "right": "left"}

# Half of the 95 % interval around an accuracy of 90 %; an issue of this severity is raised above it.
_MARGINS = {"warning": 0.1, "note": 0.05}


def count_issues(images: AllImages, *, test_split: float = DEFAULT_OPTIONS.test_split) -> Iterator[Issue]:
    """Find classes of one name, missing, small and imbalanced classes, and a test split that is small or not there.

    Args:
        images: All images.
        test_split: Share of the images that training cuts off where there is no test split.

    Yields:
        The issues.
    """
    counts = {
        split: np.bincount(dataset.labels, minlength=len(images.class_names))
        for split, dataset in images.splits.items()
    }
    yield from _similar_classes(images.class_names, np.sum(list(counts.values()), axis=0))
    yield from _left_and_right(images.class_names)
    for split, of_class in counts.items():
        yield from _missing_classes(images.class_names, split, of_class)
        if split == "train":
            yield from _small_classes(images.class_names, of_class)
            yield from _imbalance(images.class_names, of_class)
    if "test" in counts:
        yield from _small_test(int(counts["test"].sum()))
    elif "train" in counts:
        yield from _no_test(images.class_names, counts["train"], test_split)


def _similar_classes(names: tuple[str, ...], counts: np.ndarray) -> Iterator[Issue]:
    alike: dict[str, list[str]] = {}
    for name, count in zip(names, counts, strict=True):
        alike.setdefault(_bare(name), []).append(f"{name!r} ({count:,})")
    for same in alike.values():
        if len(same) > 1:
            yield Issue(
                kind="similar-classes",
                severity="warning",
                summary=f"{len(same)} classes differ in case, leading zeros or separators alone: {listed(same)}.",
                advice="Give them one name if they are one class.",
            )


def _bare(name: str) -> str:
    """Return a name without what people vary: case, blanks and punctuation, and leading zeros."""
    words = re.findall(r"(?:^-)?[^\W_]+", name.casefold())
    return "".join(word.lstrip("0") or "0" for word in words) or name


def _left_and_right(names: tuple[str, ...]) -> Iterator[Issue]:
    """Find classes whose names differ in left and right, such as hands or arrows."""
    spelled = {name.casefold(): name for name in names}
    swapped = {name: re.sub("left|right", lambda side: _OTHER_SIDE[side[0]], name) for name in spelled}
    pairs = [(spelled[name], spelled[swapped[name]]) for name in spelled if name < swapped[name] in spelled]
    if pairs:
        yield Issue(
            kind="mirrored-classes",
            severity="warning",
            summary="By their names, classes are mirror images of each other: "
            f"{listed([f'{one!r} and {other!r}' for one, other in pairs])}.",
            advice="Mirroring turns one class into the other: train with --no-flip, or with --flip if the names do not "
            "mean that.",
        )


def _missing_classes(names: tuple[str, ...], split: str, counts: np.ndarray) -> Iterator[Issue]:
    if missing := [names[label] for label in np.flatnonzero(counts == 0)]:
        training = split == "train"
        yield Issue(
            kind="missing-class",
            severity="error" if training else "warning",
            summary=f"{len(missing):,} of {len(names):,} classes {have(missing)} no {split} images: {listed(missing)}.",
            advice="Add images, or remove the class." if training else "Add images; these classes cannot be scored.",
        )


def _small_classes(names: tuple[str, ...], counts: np.ndarray) -> Iterator[Issue]:
    if small := [f"{names[label]} ({counts[label]})" for label in np.flatnonzero((counts > 0) & (counts < FEW))]:
        yield Issue(
            kind="small-class",
            severity="warning",
            summary=f"{len(small):,} of {len(names):,} classes {have(small)} fewer than {FEW} training images: "
            f"{listed(small)}.",
            advice="Add images, or merge classes; a network can hardly learn a class from so few.",
        )


def _imbalance(names: tuple[str, ...], counts: np.ndarray) -> Iterator[Issue]:
    if not counts.any():
        return
    largest, smallest = counts.argmax(), np.where(counts > 0, counts, counts.max() + 1).argmin()
    if counts[largest] >= IMBALANCE * counts[smallest]:
        yield Issue(
            kind="class-imbalance",
            severity="warning",
            summary=f"The largest class, {names[largest]} ({counts[largest]:,}), has "
            f"{counts[largest] / counts[smallest]:.1f} times the training images of the smallest, "
            f"{names[smallest]} ({counts[smallest]:,}).",
            advice="Train with --class-weight balanced, and compare the recall of each class, not the accuracy.",
        )


def _small_test(count: int) -> Iterator[Issue]:
    margin = 1.96 * math.sqrt(0.9 * 0.1 / count) if count else 0.0
    severity = next((severity for severity, most in _MARGINS.items() if margin > most), None)
    if severity:
        yield Issue(
            kind="small-test",
            severity=severity,
            summary=f"With {plural(count, 'test image')}, an accuracy of 90% has a margin of error of about "
            f"{100 * margin:.0f} points (95% confidence).",
            advice="Add test images; smaller differences between two classifiers are chance.",
        )


def _no_test(names: tuple[str, ...], counts: np.ndarray, share: float) -> Iterator[Issue]:
    """Find classes that become too small when training cuts off a test split."""
    single = [names[label] for label in np.flatnonzero(counts == 1)]
    left = counts - np.round(share * counts)
    small = [f"{names[label]} ({counts[label]})" for label in np.flatnonzero((counts >= FEW) & (left < FEW))]
    effects = [f"contains no image of {listed(single)}"] if single else []
    effects += [f"leaves fewer than {FEW} training images of {listed(small)}"] if small else []
    if effects:
        yield Issue(
            kind="no-test",
            severity="note",
            summary=f"There is no test split; the {share:.0%} that training cuts off for it {', and '.join(effects)}.",
            advice="Add images of these classes, or provide a test split.",
        )
