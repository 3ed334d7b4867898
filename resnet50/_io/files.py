"""Write files atomically, and open HDF5 files that may be something else or damaged."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from resnet50._io.paths import describe_path, is_dead_link

if TYPE_CHECKING:
    import h5py

_NO_FOLDER_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EBADF)  # from network shares

_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary file beside ``path``; it is renamed to ``path`` when the block ends without an error.

    A crash at any moment leaves either the old file or the complete new one under ``path``.

    Args:
        path: Final name. Its folder is created if it does not exist.

    Yields:
        Path of an empty file in the same folder, with the same suffix (Keras and others choose a format by it).

    Raises:
        ValueError: If ``path`` is a folder; before the block, so that no work is lost.
    """
    path = Path(path)
    if path.is_dir() or is_dead_link(path):  # replacing a link would not write where it leads
        got = describe_path(path)
        raise ValueError(f"{path}: expected a file name to write to, got {got}; choose another name.")
    _make_folder(path.parent)
    # Keras knows suffixes such as .weights.h5, so the suffix is everything from the first dot on
    suffix = path.name[path.name.index(".") :] if "." in path.name else ""
    try:
        handle, name = tempfile.mkstemp(prefix=".partial-", suffix=suffix, dir=path.parent)
    except OSError as error:  # so that the error names the caller's file
        raise type(error)(error.errno, error.strerror, str(path)) from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        _publish(temporary, path, 0o666)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``; it is renamed to ``path`` when the block ends without an error.

    Args:
        path: Final name. Its parent folder is created if it does not exist.

    Yields:
        Path of an empty folder.

    Raises:
        ValueError: If ``path`` exists; before the block, so that no work is lost.
    """
    path = Path(path)
    if os.path.lexists(path):
        got = describe_path(path)
        raise ValueError(f"{path}: expected a new name, got that of {got}; remove it or choose another name.")
    _make_folder(path.parent)
    temporary = Path(tempfile.mkdtemp(prefix=".partial-", dir=path.parent))
    try:
        yield temporary
        for written in filter(Path.is_file, temporary.rglob("*")):
            with written.open("rb+") as file:
                os.fsync(file.fileno())
        _publish(temporary, path, 0o777)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text as UTF-8, atomically, with a newline at its end.

    Args:
        path: Final name. Its folder is created if it does not exist; an existing file is replaced.
        text: The text.

    Raises:
        ValueError: If ``path`` is a folder, or the text cannot be encoded.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(text if text.endswith("\n") else text + "\n", encoding="utf-8")


@contextmanager
def open_h5(path: str | os.PathLike[str], *, expected: str) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading.

    Args:
        path: The file.
        expected: What the file should be, for error messages, such as ``"an HDF5 file of hand signs"``.

    Yields:
        The open file.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If the file is not HDF5 (the message says what it looks like) or is truncated.
    """
    import h5py  # here and not above: downloads and weight tables need no NumPy

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected {expected}, got {'a folder' if path.is_dir() else 'no such file'}.")
    try:
        with path.open("rb") as raw:
            start = raw.read(512)
    except OSError as error:
        raise ValueError(f"{path}: expected {expected}, got a file that cannot be read ({error.strerror}).") from error
    if not start.startswith(_HDF5_SIGNATURE):
        raise ValueError(f"{path}: expected {expected}, got {_describe(start)}")
    try:
        file = h5py.File(path, "r")
    except BlockingIOError as error:
        raise ValueError(
            f"{path}: expected {expected}, got a file that another program is writing to; try again when it is done."
        ) from error
    except (OSError, RuntimeError) as error:
        raise ValueError(
            f"{path}: expected {expected}, got a truncated or damaged HDF5 file ({' '.join(str(error).split())}); "
            "download it again."
        ) from error
    with file:
        yield file


def _describe(start: bytes) -> str:
    if not start:
        return "an empty file; download it again."
    if start.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not the file itself; run 'git lfs pull' in its repository."
    if start.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        return "an HTML page; download the raw file, not the page that shows it."
    return f"a file that starts with {start[:8]!r}, not with HDF5's signature."


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        taken = next(each for each in (folder, *folder.parents) if os.path.lexists(each))
        got = describe_path(taken)
        raise FileExistsError(f"{taken}: expected a folder to write to, got {got}; choose another.") from error


def _publish(temporary: Path, path: Path, mode: int) -> None:
    """Rename a finished file or folder, with the permissions of the umask (tempfile gives it private ones)."""
    temporary.chmod(mode & ~_umask())
    temporary.replace(path)
    _sync_folder(path.parent)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    """Make the new name survive a power failure, where the system can; the file is published in any case."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except PermissionError:  # Windows opens no folder
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(handle)
