"""The hash and the header of each image file of a source, remembered for as long as the file does not change."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path

import PIL

from resnet50._io.fetch import Progress
from resnet50._io.files import write_text
from resnet50._io.workers import in_order
from resnet50.data.images import Header, read_header
from resnet50.data.listing import Entry, Listing

_VERSION = [1, PIL.__version__]
"""Increase the number when `read_header` gives something else: an index of another version is not used."""

_MOST_BYTES = 64 << 20  # of an index, enough for about half a million files; larger ones are not written

# A file that changed less than this before it was read may change again within one tick of the file system's clock,
# and is not remembered; the coarsest, that of FAT, ticks every two seconds.
_SETTLED = 2_500_000_000  # nanoseconds


@dataclass(frozen=True, slots=True)
class ImageFile:
    """What is known of an image file before it is decoded.

    Attributes:
        content: SHA-256 of the file; why it cannot be opened, if it cannot; "" if it was not hashed.
        header: Its header; None if it has none that can be read.
        stamp: Size, inode, time of modification and time of change in nanoseconds when it was read; () if it cannot be
            opened or was not hashed.
    """

    content: str = ""
    header: Header | None = None
    stamp: tuple[int, ...] = ()

    def has_changed(self, path: Path) -> bool:
        """Return whether a file that was hashed has other content now, as far as size, inode and time tell."""
        try:
            return bool(self.stamp) and _stamp(path.stat())[:3] != self.stamp[:3]
        except OSError:
            return True


_Index = dict[str, ImageFile]  # by path below the root of the source, or absolute


def inspect_files(listing: Listing, index: Path, *, progress: Progress | None = None) -> tuple[ImageFile, ...]:
    """Read each file of a source once, except those that have not changed since the index was written.

    A file has not changed if its size, inode, time of modification and time of change are the same. One that changed
    just before it was read, or cannot be read, is read again every time. The index is then replaced; where that fails,
    all files are read again next time. A damaged index is ignored.

    Args:
        listing: The images.
        index: File of the index; it need not exist.
        progress: Called with the files done and their number.

    Returns:
        Hash and header of each image, in the order of the listing.
    """
    names, files = [_name(listing, entry) for entry in listing.entries], []
    known = _read_index(index)
    new = dict(known)

    def inspect(place: int) -> tuple[ImageFile, bool]:
        return _inspect(listing.entries[place].path, known.get(names[place]))

    try:
        for name, (file, lasting) in zip(names, in_order(inspect, range(len(names))), strict=True):
            files.append(file)
            new.pop(name, None)
            if lasting:
                new[name] = file
            if progress is not None:
                progress(len(files), len(names))
    finally:  # an interrupted first reading of a large source is not lost
        listed = {name: new[name] for name in names if name in new}
        if listed != known:
            _write_index(index, listed)
    return tuple(files)


def read_file_headers(entries: Sequence[Entry], *, progress: Progress | None = None) -> tuple[ImageFile, ...]:
    """Read the headers of files, which are not hashed; files with equal ones share an object.

    Args:
        entries: The files.
        progress: Called with the files done and their number.
    """
    known: dict[Header | None, ImageFile] = {}
    files = []
    for header in in_order(lambda entry: _header(entry.path), entries):
        files.append(known.setdefault(header, ImageFile(header=header)))
        if progress is not None:
            progress(len(files), len(entries))
    return tuple(files)


def _name(listing: Listing, entry: Entry) -> str:
    """Return a path below the root or, unlike `Listing.name_of`, an absolute one, which is the same in every folder."""
    inside = entry.path.is_relative_to(listing.root)
    return listing.name_of(entry) if inside else str(entry.path.absolute())


def _inspect(path: Path, known: ImageFile | None) -> tuple[ImageFile, bool]:
    """Return what is known of a file, and whether it holds until the file's stamp changes."""
    try:
        if not path.is_file():  # reading a pipe would never end
            return ImageFile("no file"), False
        now, stamp = time.time_ns(), _stamp(path.stat())
        if known is not None and known.stamp == stamp:
            return known, True
        with path.open("rb") as file:
            image = ImageFile(hashlib.file_digest(file, "sha256").hexdigest(), _header(path), stamp)
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        return ImageFile(type(error).__name__), False
    return image, image.header is not None and max(stamp[2:]) + _SETTLED < now


def _stamp(status: os.stat_result) -> tuple[int, ...]:
    return status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns


def _header(path: Path) -> Header | None:
    try:
        return read_header(path)
    except (OSError, ValueError):
        return None


def _read_index(path: Path) -> _Index:
    """Read an index; empty if it is not there, is damaged, or is one of another version."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            return {}
        digest, _, text = path.read_text(encoding="ascii").partition("\n")
        if digest != _digest(text):
            return {}
        version, rows = json.loads(text)
        if version != _VERSION:
            return {}
        return {name: ImageFile(content, Header(*header), tuple(stamp)) for name, content, header, stamp in rows}
    except (OSError, RecursionError, TypeError, ValueError):
        return {}


def _write_index(path: Path, index: _Index) -> None:
    """Write an index below the checksum of its text, unless it is too large or the cache cannot be written."""
    rows = [
        (name, file.content, astuple(file.header), file.stamp)
        for name, file in index.items()
        if file.header is not None
    ]
    text = json.dumps([_VERSION, rows], separators=(",", ":")) + "\n"
    if len(text) < _MOST_BYTES:
        with suppress(OSError, ValueError):
            write_text(path, f"{_digest(text)}\n{text}")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("ascii")).hexdigest()
