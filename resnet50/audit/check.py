"""The audit: what is wrong with images and labels, before a network learns it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from resnet50._io.fetch import Progress
from resnet50._io.text import have, listed, plural, share_of
from resnet50.audit.duplicates import duplicates
from resnet50.audit.file_properties import odd_files
from resnet50.audit.issue import EXAMPLES, SEVERITIES, AllImages, Issue, Place
from resnet50.data.dataset import Dataset, DatasetSplits, Unreadable
from resnet50.data.images import Header

FEW = 10
"""Training images under which a class is called tiny."""

IMBALANCE = 5
"""Times the smallest class that the largest has, from which classes count as imbalanced."""

_KEPT = 0.2  # share of the images that `load_dataset` cuts off for the test
_UNSURE = {"warning": 0.1, "note": 0.05}  # half of the 95 % interval around an accuracy of 90 %, above which it is told


def check(
    splits: Mapping[str, Dataset],
    unreadable: Sequence[Unreadable] = (),
    *,
    headers: Mapping[str, Sequence[Header | None]] | None = None,
    refused: str = "",
    progress: Progress | None = None,
) -> tuple[Issue, ...]:
    """Look for what is wrong with a data set.

    Args:
        splits: Its parts, such as ``"training"`` and ``"test"``, all of the same classes and size; images may be memory
            maps of files larger than memory.
        unreadable: Files that were left out.
        headers: What the images' files say of themselves, from `read_headers`; None leaves out what needs them.
        refused: What training says of the files that were left out, one line, where they are too many for it.
        progress: Called as the search for duplicates goes on, with the steps that are done and their number.

    Returns:
        What was found, the worst first; nothing for data without fault.

    Raises:
        ValueError: If there are no images, or the splits do not have the same classes.
    """
    images = AllImages(splits)
    found = [
        *_unreadable(unreadable, len(images), refused),
        *duplicates(images, DatasetSplits.of(splits), progress=progress),
        *_shared_groups(images),
        *_classes(images),
        *_uncertain(images),
        *_uncut(images),
        *odd_files(images, headers or {}),
    ]
    return tuple(sorted(found, key=lambda issue: SEVERITIES.index(issue.severity)))


def _unreadable(unreadable: Sequence[Unreadable], read: int, refused: str) -> Iterator[Issue]:
    if unreadable:
        yield Issue(
            kind="unreadable",
            severity="error" if refused else "warning",
            summary=refused or f"{len(unreadable):,} of {plural(len(unreadable) + read, 'file')} cannot be read.",
            advice="Training refuses them, but with a higher --max-unreadable."
            if refused
            else "They are left out of everything; mend or remove them.",
            examples=tuple((Place(path=file.path, remark=file.reason),) for file in unreadable[:EXAMPLES]),
        )


def _shared_groups(images: AllImages) -> Iterator[Issue]:
    """Find patients, specimens and the like that have images in two parts."""
    first = [_first_of_group(dataset) for dataset in images.splits.values()]
    for late in range(len(first)):
        for early in range(late):
            shared = [group for group in first[late] if group in first[early]]
            if shared:
                yield Issue(
                    kind="group",
                    severity="error",
                    summary=f"{share_of(len(shared), len(first[late]), f'groups of the {images.names[late]} part')} "
                    f"{have(shared)} images in the {images.names[early]} part too: {listed(shared)}.",
                    advice="A score on them says little of new groups: keep all images of a group in one part.",
                    examples=tuple(
                        tuple(
                            images.place(images.starts[split] + first[split][group], group) for split in (late, early)
                        )
                        for group in shared[:EXAMPLES]
                    ),
                )


def _first_of_group(dataset: Dataset) -> dict[str, int]:
    """Return the index of the first image of each group."""
    groups = dict(zip(reversed(dataset.groups), range(len(dataset) - 1, -1, -1), strict=False))
    groups.pop("", None)
    return dict(reversed(groups.items()))


def _classes(images: AllImages) -> Iterator[Issue]:
    """Count the classes in each part."""
    names = images.class_names
    for split, dataset in images.splits.items():
        counts = np.bincount(dataset.labels, minlength=len(names))
        if missing := [names[label] for label in np.flatnonzero(counts == 0)]:
            yield Issue(
                kind="missing",
                severity="error" if split == "train" else "warning",
                summary=f"{len(missing):,} of {len(names):,} classes {have(missing)} no {split} images: "
                f"{listed(missing)}.",
                advice="Add some, or remove the class."
                if split == "train"
                else "How well they are recognized cannot be told.",
            )
        if split != "train":
            continue
        if tiny := [f"{names[label]} ({counts[label]})" for label in np.flatnonzero((counts > 0) & (counts < FEW))]:
            yield Issue(
                kind="tiny",
                severity="warning",
                summary=f"{len(tiny):,} of {len(names):,} classes {have(tiny)} fewer than {FEW} training images: "
                f"{listed(tiny)}.",
                advice="That is hardly enough to learn a class from: add images, or join classes.",
            )
        if not counts.any():
            continue
        largest, smallest = counts.argmax(), np.where(counts > 0, counts, counts.max() + 1).argmin()
        if counts[largest] >= IMBALANCE * counts[smallest]:
            yield Issue(
                kind="imbalance",
                severity="warning",
                summary=f"The largest class, {names[largest]} ({counts[largest]:,}), has "
                f"{counts[largest] / counts[smallest]:.1f} times the training images of the smallest, "
                f"{names[smallest]} ({counts[smallest]:,}).",
                advice="Train with --balance-classes, and look at the recall of each class rather than the accuracy.",
            )


def _uncut(images: AllImages) -> Iterator[Issue]:
    """Tell of classes that look larger than what training will have of them, once its test part is cut off."""
    if "train" not in images.splits or "test" in images.splits:
        return
    names = images.class_names
    counts = np.bincount(images.splits["train"].labels, minlength=len(names))
    single = [names[label] for label in np.flatnonzero(counts == 1)]
    left = counts - np.round(_KEPT * counts)
    less = [f"{names[label]} ({counts[label]})" for label in np.flatnonzero((counts >= FEW) & (left < FEW))]
    told = [f"has no image of {listed(single)}"] if single else []
    told += [f"leaves fewer than {FEW} to learn from of {listed(less)}"] if less else []
    if told:
        yield Issue(
            kind="uncut",
            severity="note",
            summary=f"There is no test part; the fifth that training keeps for it {', and '.join(told)}.",
            advice="Add images of these classes, or a test part of your own.",
        )


def _uncertain(images: AllImages) -> Iterator[Issue]:
    if "test" not in images.splits or not len(images.splits["test"]):
        return
    count = len(images.splits["test"])
    half = 1.96 * math.sqrt(0.9 * 0.1 / count)
    for severity, most in _UNSURE.items():
        if half > most:
            yield Issue(
                kind="uncertain",
                severity=severity,
                summary=f"{plural(count, 'test image')} {'tells' if count == 1 else 'tell'} an accuracy of 90% to "
                f"within about {100 * half:.0f} points.",
                advice="A smaller difference between two classifiers is chance; more test images tell more.",
            )
            return
