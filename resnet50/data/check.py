"""The data doctor: what is wrong with pictures and labels, before a network learns it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from resnet50.data.duplicates import duplicates
from resnet50.data.finding import EXAMPLES, SEVERITIES, Finding, Pictures, Place, have, listed, of, so_many
from resnet50.data.headers import odd_files
from resnet50.data.images import Header
from resnet50.data.split import Split, Unreadable
from resnet50.download import Progress

FEW = 10
"""Training pictures under which a class is called tiny."""

IMBALANCE = 5
"""Times the smallest class that the largest has, from which classes count as imbalanced."""

_KEPT = 0.2  # share of the pictures that `load_pictures` cuts off for the test
_UNSURE = {"warning": 0.1, "note": 0.05}  # half of the 95 % interval around an accuracy of 90 %, above which it is told


def check(
    splits: Mapping[str, Split],
    unreadable: Sequence[Unreadable] = (),
    *,
    headers: Mapping[str, Sequence[Header | None]] | None = None,
    refused: str = "",
    progress: Progress | None = None,
) -> tuple[Finding, ...]:
    """Look for what is wrong with a data set.

    Args:
        splits: Its parts, such as ``"training"`` and ``"test"``, all of the same classes and size; images may be memory
            maps of files larger than memory.
        unreadable: Files that were left out.
        headers: What the pictures' files say of themselves, from `read_headers`; None leaves out what needs them.
        refused: What training says of the files that were left out, one line, where they are too many for it.
        progress: Called as the search for duplicates goes on, with the steps that are done and their number.

    Returns:
        What was found, the worst first; nothing for data without fault.

    Raises:
        ValueError: If there are no pictures, or the splits do not have the same classes.
    """
    pictures = Pictures(splits)
    found = [
        *_unreadable(unreadable, len(pictures), refused),
        *duplicates(pictures, progress),
        *_shared_groups(pictures),
        *_classes(pictures),
        *_uncertain(pictures),
        *_uncut(pictures),
        *odd_files(pictures, headers or {}),
    ]
    return tuple(sorted(found, key=lambda finding: SEVERITIES.index(finding.severity)))


def _unreadable(unreadable: Sequence[Unreadable], read: int, refused: str) -> Iterator[Finding]:
    if unreadable:
        yield Finding(
            kind="unreadable",
            severity="error" if refused else "warning",
            summary=refused or f"{len(unreadable):,} of {so_many(len(unreadable) + read, 'file')} cannot be read.",
            advice="Training refuses them, but with a higher --most-unreadable."
            if refused
            else "They are left out of everything; mend or remove them.",
            examples=tuple((Place(source=file.path, remark=file.reason),) for file in unreadable[:EXAMPLES]),
        )


def _shared_groups(pictures: Pictures) -> Iterator[Finding]:
    """Find patients, specimens and the like that have pictures in two parts."""
    first = [_first_of_group(split) for split in pictures.splits.values()]
    for late in range(len(first)):
        for early in range(late):
            shared = [group for group in first[late] if group in first[early]]
            if shared:
                yield Finding(
                    kind="group",
                    severity="error",
                    summary=f"{of(len(shared), len(first[late]), f'groups of the {pictures.parts[late]} part')} "
                    f"{have(shared)} pictures in the {pictures.parts[early]} part too: {listed(shared)}.",
                    advice="A score on them says little of new groups: keep all pictures of a group in one part.",
                    examples=tuple(
                        tuple(
                            pictures.place(pictures.starts[part] + first[part][group], group) for part in (late, early)
                        )
                        for group in shared[:EXAMPLES]
                    ),
                )


def _first_of_group(split: Split) -> dict[str, int]:
    """Return the index of the first picture of each group."""
    groups = dict(zip(reversed(split.groups), range(len(split) - 1, -1, -1), strict=False))
    groups.pop("", None)
    return dict(reversed(groups.items()))


def _classes(pictures: Pictures) -> Iterator[Finding]:
    """Count the classes in each part."""
    names = pictures.class_names
    for part, split in pictures.splits.items():
        counts = np.bincount(split.labels, minlength=len(names))
        if missing := [names[label] for label in np.flatnonzero(counts == 0)]:
            yield Finding(
                kind="missing",
                severity="error" if part == "training" else "warning",
                summary=f"{len(missing):,} of {len(names):,} classes {have(missing)} no {part} pictures: "
                f"{listed(missing)}.",
                advice="Add some, or remove the class."
                if part == "training"
                else "How well they are recognised cannot be told.",
            )
        if part != "training":
            continue
        if tiny := [f"{names[label]} ({counts[label]})" for label in np.flatnonzero((counts > 0) & (counts < FEW))]:
            yield Finding(
                kind="tiny",
                severity="warning",
                summary=f"{len(tiny):,} of {len(names):,} classes {have(tiny)} fewer than {FEW} training pictures: "
                f"{listed(tiny)}.",
                advice="That is hardly enough to learn a class from: add pictures, or join classes.",
            )
        if not counts.any():
            continue
        largest, smallest = counts.argmax(), np.where(counts > 0, counts, counts.max() + 1).argmin()
        if counts[largest] >= IMBALANCE * counts[smallest]:
            yield Finding(
                kind="imbalance",
                severity="warning",
                summary=f"The largest class, {names[largest]} ({counts[largest]:,}), has "
                f"{counts[largest] / counts[smallest]:.1f} times the training pictures of the smallest, "
                f"{names[smallest]} ({counts[smallest]:,}).",
                advice="Train with --balance-classes, and look at the recall of each class rather than the accuracy.",
            )


def _uncut(pictures: Pictures) -> Iterator[Finding]:
    """Tell of classes that look larger than what training will have of them, once its test part is cut off."""
    if "training" not in pictures.splits or "test" in pictures.splits:
        return
    names = pictures.class_names
    counts = np.bincount(pictures.splits["training"].labels, minlength=len(names))
    single = [names[label] for label in np.flatnonzero(counts == 1)]
    left = counts - np.round(_KEPT * counts)
    less = [f"{names[label]} ({counts[label]})" for label in np.flatnonzero((counts >= FEW) & (left < FEW))]
    told = [f"has no picture of {listed(single)}"] if single else []
    told += [f"leaves fewer than {FEW} to learn from of {listed(less)}"] if less else []
    if told:
        yield Finding(
            kind="uncut",
            severity="note",
            summary=f"There is no test part; the fifth that training keeps for it {', and '.join(told)}.",
            advice="Add pictures of these classes, or a test part of your own.",
        )


def _uncertain(pictures: Pictures) -> Iterator[Finding]:
    if "test" not in pictures.splits or not len(pictures.splits["test"]):
        return
    count = len(pictures.splits["test"])
    half = 1.96 * math.sqrt(0.9 * 0.1 / count)
    for severity, most in _UNSURE.items():
        if half > most:
            yield Finding(
                kind="uncertain",
                severity=severity,
                summary=f"{so_many(count, 'test picture')} {'tells' if count == 1 else 'tell'} an accuracy of 90% to "
                f"within about {100 * half:.0f} points.",
                advice="A smaller difference between two classifiers is chance; more test pictures tell more.",
            )
            return
