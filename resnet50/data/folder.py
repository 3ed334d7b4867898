"""Find the images in a folder, and their classes in the folders' names or by a pattern."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NoReturn

from resnet50._io.text import listed, printable
from resnet50.data.folder_scan import PathNames, scan_folder
from resnet50.data.labeled_file import SPLIT_NAMES, FoundFiles, LabeledFile, class_name, split_name


def files_in_folders(root: Path, *, for_training: bool = True) -> FoundFiles:
    """Take the class from the first folder below the root or, if there are split folders, below the split's.

    Args:
        root: The folder.
        for_training: Whether there must be training images, of at least two classes.

    Raises:
        ValueError: If the folders are not as `resnet50.data.listing.list_images` describes.
    """
    scan = scan_folder(root)
    paths = scan.images
    splits = _split_folders(root, paths, for_training=for_training)
    depth = 1 if splits else 0  # index of the class in a path
    files, loose = [], []
    for inside in paths:
        if splits and inside[0] not in splits:
            raise ValueError(
                f"{root}: expected images only in the folders {_names(splits)}, got {printable('/'.join(inside))}; "
                "move it into one of them, or out."
            )
        if len(inside) > depth + 1:
            files.append(LabeledFile(str(root.joinpath(*inside)), class_name(inside[depth]), splits.get(inside[0])))
        else:
            loose.append(inside)
    if loose:
        _refuse_loose(root, loose, files)
    if for_training and len({file.class_name for file in files}) < 2:
        _refuse_level(root, paths)
    return FoundFiles(files, scan.left_out(depth + 1))


def files_matching(root: Path, pattern: str) -> FoundFiles:
    """Take class, split and group from the groups of a pattern that is searched in each image's path.

    Raises:
        ValueError: If the pattern is not as `compile_pattern` expects, or does not find a class in every path.
    """
    search = compile_pattern(pattern)
    files, missed = [], []
    scan = scan_folder(root)
    for inside in scan.images:
        path = root.joinpath(*inside)
        match = search.search("/".join(inside))
        groups = match.groupdict() if match else {}
        if groups.get("class"):
            split = split_name(groups.get("split"), where=path)
            files.append(LabeledFile(str(path), class_name(groups["class"]), split, groups.get("group") or ""))
        else:
            missed.append(inside)
    if missed:
        raise ValueError(
            f"{root}: expected a pattern that finds a class in every image's path, got none in {len(missed):,} of "
            f"{len(files) + len(missed):,}, such as {printable('/'.join(missed[0]))}, with {pattern!r}."
        )
    return FoundFiles(files, scan.left_out(1))


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Compile a pattern that finds an image's class in its path.

    Raises:
        ValueError: If it is not a regular expression, has no group named ``class``, or a named group that is not
            ``class``, ``split`` or ``group``.
    """
    try:
        search = re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"expected a pattern that is a regular expression, got {pattern!r} ({error}).") from error
    if "class" not in search.groupindex:
        raise ValueError(f"expected a pattern with a group named class, such as '(?P<class>[^_]+)_', got {pattern!r}.")
    unknown = sorted(set(search.groupindex) - {"class", "split", "group"})
    if unknown:
        raise ValueError(f"expected a pattern with groups class, split and group, got {unknown[0]} in {pattern!r}.")
    return search


def _split_folders(root: Path, paths: Sequence[PathNames], *, for_training: bool) -> dict[str, str]:
    """Return which folders of the root are splits, {folder: split}; none if they are classes."""
    folders = {inside[0] for inside in paths if len(inside) > 1}
    named = {folder: SPLIT_NAMES[folder.lower()] for folder in sorted(folders) if folder.lower() in SPLIT_NAMES}
    nested = {inside[0] for inside in paths if len(inside) > 2}  # folders that hold folders
    train = [folder for folder, split in named.items() if split == "train"]
    if not any(folder in nested for folder in train) and set(named) != folders:
        return {}  # train is a class, as in bus, car, train
    for split, count in Counter(named.values()).items():
        if count > 1:
            same = _names(folder for folder in named if named[folder] == split)
            raise ValueError(f"{root}: expected one folder of {split} images, got {same}; move them into one.")
    if for_training and named and not train:
        raise ValueError(f"{root}: expected a folder train beside {_names(named)}, got none with images; add it.")
    return named


def _refuse_loose(root: Path, loose: Sequence[PathNames], files: Sequence[LabeledFile]) -> NoReturn:
    """Refuse images that lie where the folders of the classes should be."""
    folder = root.joinpath(*loose[0][:-1])
    count = sum(inside[:-1] == loose[0][:-1] for inside in loose)
    if any(folder in file.path.parents for file in files):
        raise ValueError(
            f"{folder}: expected every image in the folder of its class, got {count:,} beside these folders, such as "
            f"{printable(loose[0][-1])}; move them into one, or out."
        )
    advice = (
        "if this is the folder of one class, name its parent"
        if folder == root
        else "if their classes are unknown, move the images out"
    )
    raise ValueError(
        f"{folder}: expected a folder for each class, got {count:,} images without one; make such folders, give a "
        f"pattern that finds the class in the file names (pattern, --pattern) or, {advice}."
    )


def _refuse_level(root: Path, paths: Sequence[PathNames]) -> None:
    """Refuse a folder whose only folder holds the classes, as in many unpacked archives."""
    shared: PathNames = ()
    for names in zip(*(inside[:-1] for inside in paths), strict=False):
        if len(set(names)) > 1:
            break
        shared += names[:1]
    below = {inside[len(shared)] for inside in paths if len(inside) > len(shared) + 1}
    if shared and len(below) > 1:
        raise ValueError(
            f"{root}: expected a folder for each class, got only {printable('/'.join(shared))}, which holds "
            f"{_names(sorted(below))}; name {printable(root.joinpath(*shared))} instead."
        )


def _names(names: Iterable[str]) -> str:
    return listed(list(names), most=10)
