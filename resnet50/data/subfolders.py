"""Groups from the subfolders of class folders: a folder for each patient, specimen or burst."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from resnet50.data.labeled_file import LabeledFile

FOLDERS = 5
"""Subfolders become groups if a class has at least this many on average."""

IMAGES = 2
"""Subfolders become groups if they have at least this many images on average."""

_NEARLY_ALL = 0.9  # share of the images that are in such subfolders
_NUMBERED = (
    0.5  # share of the subfolders with a number in their name, as those of patients have and subclasses have not
)


def group_by_subfolder(root: Path, files: Sequence[LabeledFile], groups: bool | None) -> Sequence[LabeledFile]:
    """Make a group of each subfolder of the class folders; subfolders of one name are one group, whatever their class.

    A group is named by its path below the class's folder and ends in ``/``, such as ``"patient07/"``.

    Args:
        root: Folder of class folders, or of split folders with class folders.
        files: Its images; those that have a split are in split folders.
        groups: False for no groups. True for the subfolders of the first level on which a class has several. None for
            those of the first level on which they are plausible: `FOLDERS` or more in a class and `IMAGES` or more in a
            subfolder, on average, with a number in most of their names.

    Raises:
        ValueError: If there are to be groups, and no class has several subfolders.
    """
    if groups is False:
        return files
    below = [file.path.relative_to(root).parts[1 + (file.split is not None) : -1] for file in files]
    levels = range(1, max(map(len, below), default=0) + 1)
    fits = _is_plausible if groups is None else _has_several
    level = next((level for level in levels if fits(files, below, level)), None)
    if level is None:
        if groups:
            raise ValueError(
                f"{root}: expected several subfolders in the folder of a class, to make groups of them, got none; "
                "leave out groups."
            )
        return files
    return [
        file._replace(group="".join(f"{name}/" for name in folders[:level]))
        for file, folders in zip(files, below, strict=True)
    ]


def _is_plausible(files: Sequence[LabeledFile], below: Sequence[tuple[str, ...]], level: int) -> bool:
    counts = _count(files, below, level)
    images, classes = sum(counts.values()), len({file.class_name for file in files})
    numbered = sum(any(character.isdigit() for character in folders[-1]) for _, folders in counts)
    return (
        images >= _NEARLY_ALL * len(files)
        and len(counts) >= FOLDERS * classes
        and images >= IMAGES * len(counts)
        and numbered >= _NUMBERED * len(counts)
    )


def _has_several(files: Sequence[LabeledFile], below: Sequence[tuple[str, ...]], level: int) -> bool:
    counts = _count(files, below, level)
    return len(counts) > len({class_name for class_name, _ in counts})


def _count(
    files: Sequence[LabeledFile], below: Sequence[tuple[str, ...]], level: int
) -> Counter[tuple[str, tuple[str, ...]]]:
    """Return the number of images of each class in each subfolder of a level."""
    return Counter(
        (file.class_name, folders[:level]) for file, folders in zip(files, below, strict=True) if len(folders) >= level
    )
