"""List the images of a source with their classes and splits. No image is opened here."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from resnet50._io.paths import as_given, describe_source
from resnet50._io.text import can_be_shown, printable, short
from resnet50.data.folder import files_in_folders, files_matching
from resnet50.data.labeled_file import FoundFiles, LabeledFile, utf8_name
from resnet50.data.left_out import LeftOut
from resnet50.data.subfolders import group_by_subfolder
from resnet50.data.table import files_in_table, other_columns

SPLITS = ("train", "validation", "test")
"""The splits that an image can be in."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One image of a source.

    Attributes:
        location: Path of the file, as text. It may be damaged or missing; decoding it reports that.
        label: Index into the listing's ``class_names``.
        split: One of `SPLITS`; None if the source does not assign one.
        group: What the image belongs to, such as a patient or a specimen; "" for nothing.
    """

    location: str
    label: int
    split: str | None = None
    group: str = ""

    @property
    def path(self) -> Path:
        """The file."""
        return Path(self.location)


@dataclass(frozen=True)
class Listing:
    """The images of a source.

    Attributes:
        root: Folder that the source's paths start from.
        entries: The images, in the order of their paths, name by name; the same on every machine.
        class_names: In the order of the labels: sorted, whole numbers as numbers and before text. At least two, if the
            rules of training hold.
        name: Name of the source, for figures and reports.
        left_out: What the source holds besides the images.
        other_columns: Columns of the CSV file that are not used, each with its number of different values.
    """

    root: Path
    entries: tuple[Entry, ...]
    class_names: tuple[str, ...]
    name: str
    left_out: tuple[LeftOut, ...] = ()
    other_columns: Mapping[str, int] = field(default_factory=dict)

    def name_of(self, entry: Entry) -> str:
        """Return an image's path below the root, or its whole path if it is elsewhere, with ``/`` between names."""
        path = entry.path
        return (path.relative_to(self.root) if path.is_relative_to(self.root) else path).as_posix()


def list_images(
    source: str | os.PathLike[str],
    *,
    pattern: str | None = None,
    groups: bool | None = None,
    for_training: bool = True,
) -> Listing:
    """List the images of a folder or a CSV file.

    A folder holds a folder for each class, or folders ``train``, ``val`` and ``test`` (also ``training``, ``valid``,
    ``validation``, ``testing``, in any case; the last two may be missing) that do. Files deeper in a class's folder
    belong to that class; its subfolders may be groups. Links to folders are followed. Other files, folders of classes
    and splits without images, links to nothing and what this library wrote are counted as left out; hidden folders are
    ignored.

    A CSV file is UTF-8 and has a header with the columns ``path`` (relative to the file) and ``label`` (any text or
    number, which becomes the class name), and optionally ``split`` (as the folders above) and ``group``; other columns
    are not used. Commas, semicolons or tabs separate the fields.

    Args:
        source: The folder or the CSV file.
        pattern: Regular expression with a group named ``class``, and optionally ``split`` and ``group``, searched in
            the path of each image below the folder, with ``/`` between names. Use it where file names hold the class,
            such as ``"[IMS]_(?P<class>[^_]+)_"`` for ``I_Andesite_1_120.jpg``. Every image must match.
        groups: Whether each subfolder of a class's folder is a group; None where that is plausible
            (`resnet50.data.subfolders.group_by_subfolder`).
        for_training: Whether the rules of training hold: at least two classes, and training images of each. Images to
            be scored may all be of one class, or in a test split.

    Returns:
        The images, at least one of each class.

    Raises:
        FileNotFoundError: If there is no such folder or file.
        ValueError: If there are no images or fewer than two classes, a class has no training images or a name that
            cannot be printed, an image has no class or is listed twice, only some images have a split, or the pattern
            or the CSV file is not as above.
    """
    source = Path(source)
    if source.is_dir():
        if pattern is not None:
            return _listing(source, source, files_matching(source, pattern), for_training=for_training)
        found = files_in_folders(source, for_training=for_training)
        grouped = found._replace(files=group_by_subfolder(source, found.files, groups))
        return _listing(source, source, grouped, for_training=for_training)
    if not source.exists():
        got = describe_source(source)
        raise FileNotFoundError(f"{as_given(source)}: expected a folder of images or a CSV file, got {got}.")
    if source.suffix.lower() != ".csv" or not source.is_file():
        raise ValueError(f"{source}: expected a folder of images or a CSV file, got something else.")
    if pattern is not None:
        raise ValueError(
            f"{source}: expected a folder to search with a pattern, got a CSV file, which has a column for the class; "
            "leave the pattern out."
        )
    if groups:
        raise ValueError(
            f"{source}: expected a folder with subfolders to make groups of, got a CSV file, which may have a column "
            "group; leave groups out."
        )
    listing = _listing(source, source.parent, files_in_table(source), for_training=for_training)
    return replace(listing, other_columns=other_columns(source))


def _listing(source: Path, root: Path, found: FoundFiles, *, for_training: bool) -> Listing:
    """Check what holds for every source, and number the classes."""
    files = found.files
    names = sorted({file.class_name for file in files}, key=_numbers_first)
    _check_splits(source, files)
    _check_names(source, names)
    if for_training:
        _check_classes(source, files, names)
    label = {name: index for index, name in enumerate(names)}
    ordered = sorted(files, key=lambda file: file.location.replace(os.sep, "\0"))  # name by name
    entries = tuple(Entry(file.location, label[file.class_name], file.split, file.group) for file in ordered)
    name = source.resolve().stem if source.is_file() else source.resolve().name
    return Listing(root, entries, tuple(names), printable(utf8_name(name or str(source))), found.left_out)


def _check_splits(source: Path, files: Sequence[LabeledFile]) -> None:
    without = [file.path for file in files if file.split is None]
    if 0 < len(without) < len(files):
        raise ValueError(
            f"{source}: expected a split for every image or for none, got {len(without):,} of {len(files):,} without, "
            f"such as {printable(without[0])}."
        )


def _check_names(source: Path, names: Sequence[str]) -> None:
    for name in names:
        if not can_be_shown(name):
            raise ValueError(
                f"{source}: expected class names that can be printed, got {short(name)}; rename that class."
            )


def _check_classes(source: Path, files: Sequence[LabeledFile], names: Sequence[str]) -> None:
    """Refuse what nothing can be learned from."""
    if len(names) < 2:
        raise ValueError(
            f"{source}: expected images of at least two classes, got {len(files):,} of one, {names[0]}; "
            "add the folder, or the rows, of another class."
        )
    in_train = {file.class_name for file in files if file.split in ("train", None)}
    for file in files:
        if file.class_name not in in_train:
            raise ValueError(
                f"{source}: expected training images of every class, got none of {file.class_name}, which is in the "
                f"{file.split} split; use the same class names in all splits."
            )


def _numbers_first(name: str) -> tuple[bool, int, str]:
    """Sort whole numbers as numbers, so that class 10 comes after class 2, and before all text."""
    number = re.fullmatch("-?[0-9]{1,18}", name) is not None
    return not number, int(name) if number else 0, name
