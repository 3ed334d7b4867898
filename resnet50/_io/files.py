"""Write files atomically, and check that there is room for them."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Numbers of the errors of a disk, a quota or a limit on files that is used up."""

_NO_FOLDER_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EBADF)  # from network shares


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
    if path.is_dir():
        raise ValueError(f"{path}: expected a file name to write to, got a folder; choose another name.")
    path.parent.mkdir(parents=True, exist_ok=True)
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
    if path.exists():
        existing = "folder" if path.is_dir() else "file"
        raise ValueError(f"{path}: expected a new name, got an existing {existing}; remove it or choose another name.")
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
    """Write a text as UTF-8, atomically, with a newline at its end.

    Args:
        path: Final name. Its folder is created if it does not exist; an existing file is replaced.
        text: The text.

    Raises:
        ValueError: If ``path`` is a folder, or the text cannot be encoded.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(text if text.endswith("\n") else text + "\n", encoding="utf-8")


def check_room(path: str | os.PathLike[str], size: int, content: str, *, advice: str = "choose another place") -> None:
    """Refuse to begin a work whose result does not fit onto the disk.

    Args:
        path: The file or folder to write; it need not exist.
        size: Bytes that it needs.
        content: What they are, for the message, such as ``"the packed images"``.
        advice: What to do instead of freeing some.

    Raises:
        OSError: If the disk has less free room.
    """
    path = Path(path)
    folder = next(place for place in (path.absolute(), *path.absolute().parents) if place.is_dir())
    free = shutil.disk_usage(folder).free
    if free < size:
        raise OSError(
            f"{path}: expected {size / 1e6:,.0f} MB of free disk for {content}, got {free / 1e6:,.0f} MB; free some, "
            f"or {advice}."
        )


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
