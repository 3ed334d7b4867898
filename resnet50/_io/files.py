"""Reading files that may not be what they claim, and writing files that are never half there."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary name beside ``path`` to write to; it becomes ``path`` when the block ends without an error.

    A crash at any moment leaves either the old file or the new one under ``path``, never a part of one.

    Args:
        path: Final name. Its folder is made if it is missing.

    Yields:
        Temporary path in the same folder, with the same suffix (Keras and others choose a format by it).

    Raises:
        ValueError: If ``path`` is a folder; before the block, so that no work is lost.
    """
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{path}: expected a file name to write to, found a folder.")
    path.parent.mkdir(parents=True, exist_ok=True)
    # A suffix of two parts, such as .weights.h5, means something to Keras; everything after the first dot is kept.
    suffix = path.name[path.name.index(".") :] if "." in path.name else ""
    try:
        handle, name = tempfile.mkstemp(prefix=".partial-", suffix=suffix, dir=path.parent)
    except OSError as error:  # names the file that was asked for
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
    """Give a temporary folder beside ``path`` to fill; it becomes ``path`` when the block ends without an error.

    Args:
        path: Final name. The folder that it is in is made if it is missing.

    Yields:
        Temporary folder, empty.

    Raises:
        ValueError: If there is something under ``path``; before the block, so that no work is lost.
    """
    path = Path(path)
    if path.exists():
        found = "folder" if path.is_dir() else "file"
        raise ValueError(f"{path}: there is a {found} already; remove it, or choose another name.")
    path.parent.mkdir(parents=True, exist_ok=True)
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
    """Write a text as UTF-8, atomically; its last line ends as lines do, whether the text's does or not.

    Args:
        path: Final name. Its folder is made if it is missing; an earlier file is replaced.
        text: The text.

    Raises:
        ValueError: If ``path`` is a folder, or the text holds what is no Unicode.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(text if text.endswith("\n") else text + "\n", encoding="utf-8")


@contextmanager
def open_h5(path: str | os.PathLike[str], *, needed: str) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading.

    Args:
        path: The file.
        needed: What the caller needs, for the error's text, such as ``"an HDF5 file of hand signs"``.

    Yields:
        The open file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is not HDF5 (the text says what it is instead, as far as that shows), or is cut off.
    """
    path = Path(path)
    if not path.is_file():
        found = "a folder" if path.is_dir() else "nothing there"
        raise FileNotFoundError(f"{path}: expected {needed}, found {found}.")
    try:
        with path.open("rb") as raw:
            start = raw.read(512)
    except OSError as error:
        raise ValueError(f"{path}: expected {needed}, found a file that cannot be read ({error.strerror}).") from error
    if not start.startswith(_HDF5_SIGNATURE):
        raise ValueError(f"{path}: expected {needed}, found {_what_it_is(start)}")
    try:
        file = h5py.File(path, "r")
    except BlockingIOError as error:
        raise ValueError(
            f"{path}: expected {needed}, found that another program is writing to it; try again when that has ended."
        ) from error
    except (OSError, RuntimeError) as error:
        raise ValueError(
            f"{path}: expected {needed}, found an HDF5 file that is cut off or damaged "
            f"({' '.join(str(error).split())}); fetch it again."
        ) from error
    with file:
        yield file


def _what_it_is(start: bytes) -> str:
    if not start:
        return "an empty file; fetch it again."
    if start.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not the file itself; run 'git lfs pull' where it came from."
    if start.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        return "an HTML page; download the raw file, not the page that shows it."
    return f"a file that starts with {start[:8]!r}, not with HDF5's signature."


def _publish(temporary: Path, path: Path, mode: int) -> None:
    """Give what is written its name, and the rights of any other file or folder: tempfile makes it private."""
    temporary.chmod(mode & ~_umask())
    temporary.replace(path)
    _sync_folder(path.parent)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    """Make the new name itself survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
