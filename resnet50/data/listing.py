"""Which images a source holds, which class each shows, and which part each belongs to; no image is opened here."""

from __future__ import annotations

import csv
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, NoReturn

from resnet50.data.images import SUFFIXES

SPLITS = ("train", "validation", "test")
"""What an image can be for."""

_SPLIT_NAMES = {
    **dict.fromkeys(("train", "train"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
# Images too, which the decoder refuses: listed, so that they are named and counted and not lost without a word.
_REFUSED = (".arw", ".avif", ".cr2", ".dng", ".heic", ".heif", ".ico", ".jp2", ".jxl", ".nef", ".psd", ".tga")
_NO_CLASSES = ("__MACOSX", "@eaDir")  # what macOS' archives and Synology's disks put beside images


@dataclass(frozen=True)
class Entry:
    """One image of a source.

    Attributes:
        path: The file, which may be damaged or missing: that is for the decoder to say.
        label: Index into the listing's ``class_names``.
        split: One of `PARTS`; None if the source does not say.
        group: What the image belongs to, such as a patient or a specimen; "" for nothing.
    """

    path: Path
    label: int
    split: str | None = None
    group: str = ""


@dataclass(frozen=True)
class Listing:
    """The images of a source.

    Attributes:
        root: Folder that the source's paths start from.
        entries: The images, in the order of their paths, name by name; the same on every machine.
        class_names: At least two names, in the order of the labels: sorted, as numbers if all are whole numbers.
        name: Name of the source, for figures and reports.
    """

    root: Path
    entries: tuple[Entry, ...]
    class_names: tuple[str, ...]
    name: str

    def name_of(self, entry: Entry) -> str:
        """Return an image's path below the root, or its whole path if it is elsewhere, with ``/`` between names."""
        inside = entry.path.is_relative_to(self.root)
        return (entry.path.relative_to(self.root) if inside else entry.path).as_posix()


class _Found(NamedTuple):
    path: Path
    name: str  # of the class
    split: str | None = None
    group: str = ""


def list_images(source: str | os.PathLike[str], *, pattern: str | None = None) -> Listing:
    """Find the images of a folder or a CSV file.

    A folder holds a folder for each class, or folders ``train``, ``val`` and ``test`` (also ``training``, ``valid``,
    ``validation``, ``testing``, in any case; the last two may be missing) that do. What lies deeper in a class's folder
    belongs to that class. Hidden files, what is no image by its name, and folders without images are passed over.
    Folders that are links are followed.

    A CSV file is UTF-8 and has a header with the columns ``path`` (relative to the file) and ``label`` (any text or
    number, which becomes the class name), and perhaps ``split`` (as the folders above) and ``group``; other columns are
    passed over. Commas, semicolons or tabs separate.

    Args:
        source: The folder or the CSV file.
        pattern: Regular expression with a group named ``class``, and perhaps ``part`` and ``group``, searched in the
            path of each image below the folder, with ``/`` between names; for folders whose file names say the class,
            such as ``"[IMS]_(?P<class>[^_]+)_"`` for ``I_Andesite_1_120.jpg``. Every image must match.

    Returns:
        The images, at least one of each of two classes.

    Raises:
        FileNotFoundError: If there is no such folder or file.
        ValueError: If there are no images or fewer than two classes, a class has no training images or a name that
            cannot be printed, an image has no class or is there twice, only some images have a part, or the pattern
            or the CSV file is not as above.
    """
    source = Path(source)
    if source.is_dir():
        found = _in_folders(source) if pattern is None else _by_pattern(source, pattern)
        return _listing(source, source, found)
    if not source.exists():
        raise FileNotFoundError(f"{source}: expected a folder of images or a CSV file, found nothing there.")
    if source.suffix.lower() != ".csv" or not source.is_file():
        raise ValueError(f"{source}: expected a folder of images or a CSV file, found neither.")
    if pattern is not None:
        raise ValueError(
            f"{source}: expected a folder to search with a pattern, found a CSV file, which names classes."
        )
    return _listing(source, source.parent, _from_csv(source))


def _listing(source: Path, root: Path, found: Sequence[_Found]) -> Listing:
    """Check what all kinds of source have to keep to, and number the classes."""
    without = [each.path for each in found if each.split is None]
    if 0 < len(without) < len(found):
        raise ValueError(
            f"{source}: expected a part for every image or for none, found {len(without):,} of {len(found):,} without, "
            f"such as {_show(without[0])}."
        )
    names = sorted({each.name for each in found}, key=_numbers_first)
    for name in names:
        if not name or not name.isprintable():
            raise ValueError(f"{source}: expected class names that can be printed, found {name!r}; rename that class.")
    if len(names) < 2:
        raise ValueError(
            f"{source}: expected images of at least two classes, found {len(found):,} of one, {names[0]}; "
            "add the folder, or the rows, of another class."
        )
    if not without:
        learnt = {each.name for each in found if each.split == "train"}
        for each in found:
            if each.name not in learnt:
                raise ValueError(
                    f"{source}: expected training images of every class, found none of {each.name}, which is in the "
                    f"{each.split} part; the names of a class must be the same in all parts."
                )
    label = {name: index for index, name in enumerate(names)}
    ordered = sorted(found, key=lambda each: each.path.parts)
    entries = tuple(Entry(each.path, label[each.name], each.split, each.group) for each in ordered)
    dataset = source.resolve().stem if source.is_file() else source.resolve().name
    return Listing(root, entries, tuple(names), _show(dataset or source))


def _numbers_first(name: str) -> tuple[bool, int, str]:
    """Sort whole numbers as numbers, so that class 10 comes after class 2, and before all text."""
    number = re.fullmatch("-?[0-9]{1,18}", name) is not None
    return not number, int(name) if number else 0, name


def _in_folders(root: Path) -> list[_Found]:
    """Take the class from the first folder below the root or, if there are parts, below that of the part."""
    paths = images_below(root)
    splits = _part_folders(root, paths)
    depth = 1 if splits else 0  # where the class stands
    found, loose = [], []
    for inside in paths:
        if splits and inside[0] not in splits:
            raise ValueError(
                f"{root}: expected images in the folders {_names(splits)} alone, found {_show('/'.join(inside))} too; "
                "move it into one of them, or out."
            )
        if len(inside) > depth + 1:
            found.append(_Found(root.joinpath(*inside), _name(inside[depth]), splits[inside[0]] if splits else None))
        else:
            loose.append(inside)
    if loose:
        _refuse_loose(root, loose, found)
    if len({each.name for each in found}) < 2:
        _refuse_level(root, paths)
    return found


def _part_folders(root: Path, paths: Sequence[tuple[str, ...]]) -> dict[str, str]:
    """Tell which folders of the root are parts: {folder: part}; none if they are classes."""
    folders = {inside[0] for inside in paths if len(inside) > 1}
    named = {folder: _SPLIT_NAMES[folder.lower()] for folder in sorted(folders) if folder.lower() in _SPLIT_NAMES}
    holding = {inside[0] for inside in paths if len(inside) > 2}  # a folder of a folder
    learnt = [folder for folder, split in named.items() if split == "train"]
    if not any(folder in holding for folder in learnt) and set(named) != folders:
        return {}  # train is a class, as in bus, car, train
    for split, times in Counter(named.values()).items():
        if times > 1:
            twice = _names([folder for folder in named if named[folder] == split])
            raise ValueError(f"{root}: expected one folder of {split} images, found {twice}; move them into one.")
    if named and not learnt:
        raise ValueError(f"{root}: expected a folder train beside {_names(named)}, found none with images.")
    return named


def _refuse_loose(root: Path, loose: Sequence[tuple[str, ...]], found: Sequence[_Found]) -> NoReturn:
    """Refuse images that lie where the folders of the classes should be."""
    folder = root.joinpath(*loose[0][:-1])
    count = sum(inside[:-1] == loose[0][:-1] for inside in loose)
    if any(folder in each.path.parents for each in found):
        raise ValueError(
            f"{folder}: expected every image in the folder of its class, found {count:,} beside these folders, such as "
            f"{_show(loose[0][-1])}; move them into one, or out."
        )
    advice = (
        "if this is the folder of one class, name the one above" if folder == root else "if none is known, move them"
    )
    raise ValueError(
        f"{folder}: expected a folder for each class, found {count:,} images without one; make such folders, give a "
        f"pattern that finds the class in the file names or, {advice}."
    )


def _refuse_level(root: Path, paths: Sequence[tuple[str, ...]]) -> None:
    """Refuse a folder whose only folder holds the classes, as an unpacked archive often does."""
    shared: tuple[str, ...] = ()
    for names in zip(*(inside[:-1] for inside in paths), strict=False):
        if len(set(names)) > 1:
            break
        shared += names[:1]
    below = {inside[len(shared)] for inside in paths if len(inside) > len(shared) + 1}
    if shared and len(below) > 1:
        raise ValueError(
            f"{root}: expected a folder for each class, found only {_show('/'.join(shared))}, which holds "
            f"{_names(sorted(below))}; name {_show(root.joinpath(*shared))} instead."
        )


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Compile what finds an image's class in its path.

    Raises:
        ValueError: If it is no regular expression, or has no group named ``class``.
    """
    try:
        search = re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"expected a pattern that is a regular expression, got {pattern!r} ({error}).") from error
    if "class" not in search.groupindex:
        raise ValueError(f"expected a pattern with a group named class, such as '(?P<class>[^_]+)_', got {pattern!r}.")
    return search


def _by_pattern(root: Path, pattern: str) -> list[_Found]:
    search = compile_pattern(pattern)
    found, missed = [], []
    for inside in images_below(root):
        path = root.joinpath(*inside)
        match = search.search("/".join(inside))
        groups = match.groupdict() if match else {}
        if not groups.get("class"):
            missed.append(path)
            continue
        split = groups.get("split")
        if split and split.lower() not in _SPLIT_NAMES:
            _refuse_part(path, split)
        found.append(
            _Found(
                path, _name(groups["class"]), _SPLIT_NAMES[split.lower()] if split else None, groups.get("group") or ""
            )
        )
    if missed:
        raise ValueError(
            f"{root}: expected a pattern that finds a class in every image's path, found none in {len(missed):,} of "
            f"{len(found) + len(missed):,}, such as {_show(missed[0].relative_to(root).as_posix())}, "
            f"with {pattern!r}."
        )
    return found


def _from_csv(path: Path) -> list[_Found]:
    found: list[_Found] = []
    lines: dict[str, int] = {}  # where each path stands
    for line, row in _rows(path):
        where = f"{path}, line {line}"
        for column in ("path", "label"):
            if not row[column]:
                raise ValueError(f"{where}: expected a {column}, found none.")
        dataset = row.get("split")
        if dataset and dataset.lower() not in _SPLIT_NAMES:
            _refuse_part(where, dataset)
        image = path.parent / row["path"]
        first = lines.setdefault(os.path.normpath(image), line)
        if first != line:
            raise ValueError(f"{where}: expected each image once, found {_show(row['path'])} in line {first} too.")
        split = _SPLIT_NAMES[dataset.lower()] if dataset else None
        found.append(_Found(image, _name(row["label"]), split, row.get("group", "")))
    if not found:
        raise ValueError(f"{path}: expected a row for each image, found a header alone.")
    try:
        there = any(each.path.exists() for each in found)
    except (OSError, ValueError):  # a name too long, or with a zero byte
        there = True  # for the decoder to say
    if not there:
        raise ValueError(
            f"{path}: expected paths relative to the folder {path.parent}, found no file at any of the {len(found):,}, "
            f"such as {_show(found[0].path)}."
        )
    return found


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the line in which each row ends, counted from 1, and its fields by column."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            delimiter = max(",;\t", key=file.readline().count)
            file.seek(0)
            rows = csv.reader(file, delimiter=delimiter, strict=True)
            header = [field.strip().lower() for field in next(rows, [])]
            for column in ("path", "label", "split", "group"):
                times = header.count(column)
                if times > 1 or (not times and column in ("path", "label")):
                    raise ValueError(
                        f"{path}: expected a header with one column {column}, found "
                        f"{', '.join(map(_show, header[:20])) or 'an empty file'}."
                    )
            for row in rows:
                if not any(row):
                    continue
                if len(row) != len(header):
                    raise ValueError(
                        f"{path}, line {rows.line_num}: expected {len(header)} fields as in the header, found {len(row)}."
                    )
                yield rows.line_num, dict(zip(header, map(str.strip, row), strict=True))
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: expected a CSV file in UTF-8, found other bytes; save it as CSV UTF-8.") from error
    except (csv.Error, OSError) as error:
        raise ValueError(f"{path}: cannot be read as a CSV file ({error}).") from error


def images_below(root: Path) -> list[tuple[str, ...]]:
    """Find the files in a folder and below that are images by their names; hidden ones are passed over.

    Args:
        root: The folder. Folders in it that are links are followed.

    Returns:
        The path of each below the root, as names, sorted. Some may be images that cannot be decoded here.

    Raises:
        ValueError: If there are none, a folder cannot be read, or a link makes images be there twice.
    """
    images, others = [], 0
    seen: dict[tuple[int, int], Path] = {}
    for folder, folders, files in os.walk(root, followlinks=True, onerror=_refuse_folder):
        here = Path(folder)
        inside = here.relative_to(root).parts
        folders[:] = [name for name in sorted(folders) if not name.startswith(".") and name not in _NO_CLASSES]
        status = here.stat()
        first = seen.setdefault((status.st_dev, status.st_ino), here)
        if first in here.parents:  # a link that leads back up
            folders.clear()
            continue
        if first != here:
            raise ValueError(f"{here}: expected each image once, found that it is the folder {first}; remove the link.")
        for name in files:
            if not name.startswith("."):
                if name.lower().endswith(SUFFIXES + _REFUSED):
                    images.append((*inside, name))
                else:
                    others += 1
    if not images:
        raise ValueError(
            f"{root}: expected images ({', '.join(SUFFIXES)}), found none in it; {others:,} files of other kinds."
        )
    return sorted(images)


def _refuse_folder(error: OSError) -> NoReturn:
    raise ValueError(f"{error.filename}: expected a folder that can be read ({error.strerror}).") from error


def _refuse_part(where: object, name: str) -> NoReturn:
    raise ValueError(f"{where}: expected one of {', '.join(_SPLIT_NAMES)} as its part, found {name!r}.")


def _name(text: str) -> str:
    """Return one spelling for names that look alike: macOS takes accents apart."""
    return unicodedata.normalize("NFC", text).strip()


def _names(names: Sequence[str] | dict[str, str]) -> str:
    some = [_show(name) for name in names]
    return ", ".join(some[:10]) + (f" and {len(some) - 10:,} more" if len(some) > 10 else "")


def _show(text: object) -> str:
    """Return what can be printed: a file's name may hold line breaks, or bytes that are no text."""
    shown = str(text)
    return shown if shown.isprintable() else repr(shown)[1:-1]
