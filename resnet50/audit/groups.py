"""Issues of groups, such as patients or specimens: those in two splits, and what may have been meant as groups."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from resnet50._io.text import are, have, listed, plural, printable, share_of
from resnet50.audit.issue import EXAMPLES, AllImages, Issue
from resnet50.data.dataset import Dataset
from resnet50.data.labeled_file import SPLIT_NAMES, class_name

# How a word in the name of a column begins that says which images belong together
_GROUPS = (
    *("animal", "batch", "burst", "camera", "case", "clip", "cluster", "donor", "family", "group", "individual"),
    *("lesion", "location", "participant", "patient", "person", "plant", "plot", "scene", "sequence", "series"),
    *("session", "site", "slide", "specimen", "study", "subject", "tree", "video", "visit"),
)


def shared_groups(images: AllImages) -> Iterator[Issue]:
    """Find groups (`Dataset.groups`) that have images in two splits.

    Args:
        images: All images.

    Yields:
        An issue for each pair of splits that share groups; a warning if the groups are subfolders of one name.
    """
    first = [_first_of_group(dataset) for dataset in images.splits.values()]
    for late in range(len(first)):
        for early in range(late):
            shared = [group for group in first[late] if group in first[early]]
            if shared:
                folders = all(group.endswith("/") for group in shared)  # of one name, perhaps not of one patient
                yield Issue(
                    kind="group-leak",
                    severity="warning" if folders else "error",
                    summary=f"{share_of(len(shared), len(first[late]), f'groups of the {images.names[late]} split')} "
                    f"also {have(shared)} images in the {images.names[early]} split: {listed(shared)}.",
                    advice="Keep all images of a group in one split; otherwise the score is too high for new groups.",
                    examples=tuple(
                        tuple(
                            images.place(images.starts[split] + first[split][group], group) for split in (late, early)
                        )
                        for group in shared[:EXAMPLES]
                    ),
                )


def folder_groups(images: AllImages) -> Iterator[Issue]:
    """Report that subfolders of class folders are groups (`resnet50.data.subfolders.group_by_subfolder`).

    Args:
        images: All images.

    Yields:
        One note, if there are such groups.
    """
    groups = [group for dataset in images.splits.values() for group in dataset.groups if group.endswith("/")]
    if groups:
        names = sorted(set(groups))
        yield Issue(
            kind="folder-groups",
            severity="note",
            summary=f"{share_of(len(groups), len(images), 'images')} {are(groups)} in "
            f"{plural(len(names), 'subfolder')} of the class folders, each a group: {listed(names, most=3)}.",
            advice="A cut never separates them, as images of one patient or specimen. Otherwise, use --no-groups.",
        )


def shared_subfolders(images: AllImages, root: Path | None) -> Iterator[Issue]:
    """Find subfolders of class folders that are not groups and have images in two splits, or may come to that.

    Args:
        images: All images.
        root: Folder that their paths start from; None where they are not in files of their own.

    Yields:
        One issue: a warning if subfolders have images in two splits, a note if a cut may separate their images.
    """
    if root is None or any(any(dataset.groups) for dataset in images.splits.values()):
        return
    splits: dict[str, set[str]] = {}
    count = 0
    for split, dataset in images.splits.items():
        for path, label in zip(dataset.paths, dataset.labels, strict=True):
            if subfolder := _subfolder(path, images.class_names[label]):
                splits.setdefault(subfolder, set()).add(split)
                count += 1
    shared = [subfolder for subfolder, its_splits in splits.items() if len(its_splits) > 1]
    if not shared and ("test" in images.splits or count < 2 * len(splits) or len(splits) < 2):
        return
    named = listed([printable(subfolder) for subfolder in sorted(shared or splits)], most=3)
    subfolders = plural(len(shared or splits), "subfolder")
    yield Issue(
        kind="subfolders",
        severity="warning" if shared else "note",
        summary=f"{subfolders} of the class folders {have(shared)} images in two splits: {named}."
        if shared
        else f"{subfolders} of the class folders {have(splits)} images that a cut may separate: {named}.",
        advice="If the images of one belong together, as those of a patient, a specimen or a video do, the score is "
        "too high for new ones: use --groups, which keeps them in one split that training cuts off.",
    )


def other_columns(images: AllImages, columns: Mapping[str, int]) -> Iterator[Issue]:
    """Report columns of a CSV file that are not used, above all those that may say which images belong together.

    Args:
        images: All images.
        columns: The columns, each with its number of different values.

    Yields:
        At most one issue.
    """
    grouped = any(any(dataset.groups) for dataset in images.splits.values())
    meant = [
        column
        for column, different in columns.items()
        if not grouped
        and 1 < different < len(images)
        and any(word.startswith(_GROUPS) for word in re.findall("[a-z]+", column))
    ]
    if meant:
        values = ", ".join(f"{printable(column)!r} ({columns[column]:,} different values)" for column in meant)
        yield Issue(
            kind="other-columns",
            severity="warning",
            summary=f"The CSV file has no column 'group', but {values}, which may say which images belong together.",
            advice="If so, rename the column to group, so that no cut separates the images of a patient or specimen.",
        )
    elif columns:
        yield Issue(
            kind="other-columns",
            severity="note",
            summary=f"{plural(len(columns), 'column')} of the CSV file {are(columns)} not used: "
            f"{listed([printable(column) for column in columns])}.",
            advice="The columns path, label, split and group are used.",
        )


def _subfolder(path: str, name: str) -> str:
    """Return the folders between that of a class, which may be in that of a split, and an image; "" if none are."""
    folders = path.split("/")[:-1]
    if folders and folders[0].lower() in SPLIT_NAMES and class_name(folders[0]) != name:
        folders = folders[1:]
    return "/".join(folders[1:]) if folders and class_name(folders[0]) == name else ""


def _first_of_group(dataset: Dataset) -> dict[str, int]:
    """Return the index of the first image of each group, in the order of these images."""
    first: dict[str, int] = {}
    for index, group in enumerate(dataset.groups):
        if group:
            first.setdefault(group, index)
    return first
