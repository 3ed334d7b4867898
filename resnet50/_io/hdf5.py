"""Open HDF5 files that may be something else, damaged or hostile, and write them on disks that may be full."""

from __future__ import annotations

import errno
import io
import math
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from resnet50._io.paths import describe_path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_SIGNATURE = b"\x89HDF\r\n\x1a\n"

_SMALL_CHUNK = 16 << 20  # bytes of a chunk that may be larger than what is in it

_HEAP, _GLOBAL_HEAP = b"HEAP", b"GCOL"  # how HDF5's two heaps of names and texts begin
_NO_MORE = 1  # the place of the next free block, after the last one
_MOST_FREE_BLOCKS = 10_000


@contextmanager
def open_h5(path: str | os.PathLike[str], *, expected: str) -> Iterator[H5File]:
    """Open an HDF5 file for reading.

    Args:
        path: The file.
        expected: What the file should be, for error messages, such as ``"an HDF5 file of hand signs"``.

    Yields:
        The open file.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If the file is not HDF5 (the message says what it looks like), is truncated or damaged, or another
            program writes to it.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected {expected}, got {describe_path(path)}.")
    try:
        raw = path.open("rb", buffering=0)
        start = raw.read(512)
    except OSError as error:
        raise ValueError(f"{path}: expected {expected}, got a file that cannot be read ({error.strerror}).") from error
    with raw:
        if not start.startswith(_SIGNATURE):
            raise ValueError(f"{path}: expected {expected}, got {_describe(start)}")
        try:
            _lock(raw.fileno())
            file = H5File(raw)
        except BlockingIOError as error:
            raise ValueError(
                f"{path}: expected {expected}, got a file that another program is writing to; try again when it is "
                "done."
            ) from error
        except (OSError, RuntimeError) as error:
            raise ValueError(
                f"{path}: expected {expected}, got a truncated or damaged HDF5 file ({' '.join(str(error).split())}); "
                "download it again."
            ) from error
        with file:
            yield file


class H5File(h5py.File):
    """An HDF5 file that is read through checks of its heaps, over which HDF5 1.14 can loop forever.

    Args:
        raw: A file that begins with HDF5's signature, open for reading; it stays open.

    Attributes:
        raw: The same.
    """

    def __init__(self, raw: io.RawIOBase | io.BufferedIOBase) -> None:
        self.raw = raw
        super().__init__(_CheckedReader(raw), "r")


def member(group: h5py.Group, path: str) -> h5py.Group | h5py.Dataset:
    """Return a member of a group.

    Args:
        group: The group.
        path: The member's name, below other groups or not.

    Raises:
        KeyError: If there is none.
        OSError: If a link to another file leads to it; `H5File` would follow it into the file itself.
    """
    found = group
    for name in path.strip("/").split("/"):
        if isinstance(found, h5py.Group) and isinstance(found.get(name, getlink=True), h5py.ExternalLink):
            raise OSError(f"a link to another file, {path}")
        found = found[name]
    return found


def check_dataset(dataset: h5py.Dataset) -> None:
    """Refuse a dataset whose reading takes more than the dataset itself: another file, or far more memory.

    Raises:
        OSError: If it lies in other files, or its chunks, which are unpacked whole, are much larger than it.
    """
    creation = dataset.id.get_create_plist()
    layout = creation.get_layout()
    if layout == h5py.h5d.VIRTUAL or creation.get_external_count():
        raise OSError(f"{dataset.name}, which is stored in another file")
    if layout == h5py.h5d.CHUNKED:
        chunk = math.prod(creation.get_chunk()) * dataset.id.get_type().get_size()
        if chunk > max(dataset.nbytes, _SMALL_CHUNK):
            raise OSError(f"{dataset.name} with chunks of {chunk:,} bytes for content of {dataset.nbytes:,}")


def check_items(file: H5File, *, most: int) -> None:
    """Check each dataset of a file, and read every attribute, before a library that checks nothing reads the file.

    Args:
        file: The file.
        most: Most bytes of a dataset.

    Raises:
        OSError: If `check_dataset` refuses one, or it has more bytes.
    """

    def check(name: bytes, item: h5py.h5o.ObjInfo) -> None:
        if item.num_attrs:
            list(file[name].attrs.values())  # texts in heaps, which are checked as they are read
        if item.type == h5py.h5o.TYPE_DATASET:
            dataset = h5py.Dataset(h5py.h5d.open(file.id, name))
            check_dataset(dataset)
            size = dataset.id.get_space().get_simple_extent_npoints() * dataset.id.get_type().get_size()
            if size > most:
                raise OSError(f"{dataset.name} of {size:,} bytes, more than the limit of {most:,}")

    h5py.h5o.visit(file.id, check, info=True)


class FilePart(io.RawIOBase):
    """A part of a file, as a file that is read.

    Args:
        raw: The file, open for reading.
        start: Place of the first byte.
        size: Number of bytes.
    """

    def __init__(self, raw: io.FileIO, start: int, size: int) -> None:
        self._raw, self._start, self._size, self._place = raw, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._place = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        self._raw.seek(self._start + self._place)
        count = self._raw.readinto(memoryview(buffer)[: max(0, self._size - self._place)])
        self._place += count
        return count


class _CheckedReader(io.RawIOBase):
    """A file in which each heap is checked when HDF5 reads it, before HDF5 walks through it."""

    def __init__(self, raw: io.RawIOBase | io.BufferedIOBase) -> None:
        self._raw = raw
        raw.seek(0)
        start = raw.read(16) or b""
        if not start.startswith(_SIGNATURE):  # HDF5 would look for it further on
            raise OSError("no HDF5 signature at its beginning")
        # bytes of an address and of a length, which the versions of the file's first block have in different places
        self._address, self._length = (start[13], start[14]) if start[8] < 2 else (start[9], start[10])

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if offset >= 1 << 63:
            raise OSError(f"an address beyond any file, {offset:#x}")
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        return self._raw.tell()

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        view = memoryview(buffer).cast("B")
        filled = 0
        while filled < len(view) and (count := self._raw.readinto(view[filled:])):  # at most 2 GiB at a time
            filled += count
        view[filled:] = bytes(len(view) - filled)  # as HDF5 reads past the end
        start = bytes(view[:4])
        if start == _GLOBAL_HEAP:
            self._check_global_heap(view)
        elif start == _HEAP:
            self._check_heap(view)
        return len(view)

    def _check_global_heap(self, heap: memoryview) -> None:
        """Refuse a heap with an object after which HDF5 would go on at the same place, or further back."""
        head = 8 + -(-self._length // 8) * 8  # bytes before the first object, and before an object's own content
        end = self._number(heap, 8)
        if end > len(heap):  # HDF5 reads all of it next
            return
        place = head
        while place + head <= end:
            size = self._number(heap, place + 8)
            is_free = heap[place : place + 2] == b"\0\0"  # then the size is that of all the rest
            step = size if is_free else head + -(-size // 8) * 8
            if not head <= step <= end - place:
                raise OSError(f"a global heap with an object of impossible size, {size} bytes")
            place += step

    def _check_heap(self, heap: memoryview) -> None:
        """Refuse a heap whose list of free blocks leads back to itself."""
        size, block = self._number(heap, 8), self._number(heap, 8 + self._length)
        place = 8 + 2 * self._length
        data = int.from_bytes(heap[place : place + self._address], "little")
        here = self._raw.tell()
        for _ in range(_MOST_FREE_BLOCKS):
            if block == _NO_MORE or block + self._length > size:  # HDF5 itself refuses the latter
                self._raw.seek(here)
                return
            self.seek(data + block)
            block = int.from_bytes(self._raw.read(self._length) or b"", "little")
        raise OSError(f"a heap of names with more than {_MOST_FREE_BLOCKS:,} free blocks")

    def _number(self, heap: memoryview, place: int) -> int:
        return int.from_bytes(heap[place : place + self._length], "little")


@contextmanager
def create_h5(path: Path, *, room: int) -> Iterator[h5py.File]:
    """Create an HDF5 file, with disk reserved for it first: HDF5 kills the process where a disk is full.

    The same content gives the same bytes. HDF5 1.10 and later read the file.

    Args:
        path: An empty file, or a new one.
        room: Bytes of disk to reserve; the unused rest is freed.

    Yields:
        The open file.

    Raises:
        OSError: If the disk does not have that much room.
    """
    access, creation = h5py.h5p.create(h5py.h5p.FILE_ACCESS), h5py.h5p.create(h5py.h5p.FILE_CREATE)
    access.set_libver_bounds(
        h5py.h5f.LIBVER_V110, h5py.h5f.LIBVER_V110
    )  # earlier versions have no index without a size
    access.set_file_locking(False, True)  # HDF5 fails where a file cannot be locked, as on many network shares
    creation.set_obj_track_times(False)
    with h5py.File(h5py.h5f.create(os.fsencode(path), h5py.h5f.ACC_TRUNC, creation, access)) as file:
        handle = file.id.get_vfd_handle()
        _lock(handle, exclusively=True)
        _reserve(handle, path, room)
        yield file
        file.flush()
        size = file.id.get_filesize()
    os.truncate(path, size)


def _lock(handle: int, *, exclusively: bool = False) -> None:
    """Lock an open file as HDF5 does, where the system can.

    Raises:
        BlockingIOError: If another program writes to it.
    """
    if fcntl is None or os.environ.get("HDF5_USE_FILE_LOCKING", "").upper() in ("FALSE", "0"):
        return
    try:
        fcntl.flock(handle, (fcntl.LOCK_EX if exclusively else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:  # no locks there, as on many network shares
        return


def _reserve(handle: int, path: Path, size: int) -> None:
    if hasattr(os, "posix_fallocate") and size:
        try:
            os.posix_fallocate(handle, 0, size)
            return
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):  # not every file system can
                raise
    if shutil.disk_usage(path.parent).free < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def _describe(start: bytes) -> str:
    if not start:
        return "an empty file; download it again."
    if start.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not the file itself; run 'git lfs pull' in its repository."
    if start.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        return "an HTML page; download the raw file, not the page that shows it."
    return f"a file that starts with {start[:8]!r}, not with HDF5's signature."
