"""Write files atomically, and check that there is room for them."""

from __future__ import annotations

import errno
import glob
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from resnet50._io.locks import locked_folder
from resnet50._io.paths import describe_path, is_dead_link
from resnet50._io.text import printable

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Numbers of the errors of a disk, a quota or a limit on files that is used up."""

_NO_FOLDER_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EBADF)  # from network shares

_WAITS = (0.1, 0.3, 0.6)  # seconds between attempts to replace a file that another program has open
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)\s*(\..*)?", re.IGNORECASE)
_NOT_IN_WINDOWS = '<>:"|?*'
_SHOWN_NAME = 50  # characters of a name in that of its temporary folder; a file system allows 255 bytes
_LONGEST = 259  # characters of a path where Windows is not told otherwise


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
        OSError: If the block, or the system at its end, reports a full disk; it names ``path``.
    """
    path = Path(path)
    _check_file_name(path)
    # Keras knows suffixes such as .weights.h5, so the suffix is everything from the first dot on
    suffix = path.name[path.name.index(".") :] if "." in path.name else ""
    with _callers_file_named(path):
        _make_folder(path.parent)
        handle, name = tempfile.mkstemp(prefix=".partial-", suffix=suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        with _full_disk_named(path):
            yield temporary
            with temporary.open("rb+") as written:
                os.fsync(written.fileno())
        _publish(temporary, path, 0o666)
    finally:
        with suppress(PermissionError):  # Windows, where something still has it open; an error of the block goes on
            temporary.unlink(missing_ok=True)


@contextmanager
def _full_disk_named(path: Path) -> Iterator[None]:
    """Name the file that there was no room for, which the system does not; callers still find its number."""
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        named = OSError(
            f"{path}: expected room on the disk for the file, got none ({os.strerror(error.errno)}); free some, or "
            "choose another place."
        )
        named.errno = error.errno
        raise named from error


@contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``; it is renamed to ``path`` when the block ends without an error.

    Errors of the block name ``path``.

    Args:
        path: Final name. Its parent folder is created if it does not exist.

    Yields:
        Path of an empty folder.

    Raises:
        PermissionError: As `check_new`.
        ValueError: As `check_new`; before the block, so that no work is lost.
    """
    path = Path(path)
    check_new(path)
    with temporary_folder(path) as temporary:
        with folder_named(temporary, str(path)):
            yield temporary
        for written in filter(Path.is_file, temporary.rglob("*")):
            with written.open("rb+") as file:
                os.fsync(file.fileno())
        _publish(temporary, path, 0o777)


@contextmanager
def temporary_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside ``path``, removed after the block, as are those of ``path`` that a process left.

    A killed process leaves its folder. A living one on this machine holds the folder's lock; where no folder can be
    locked, none is known to be left, and none is removed.

    Args:
        path: What is to be written. Its parent folder is created if it does not exist.
    """
    name = path.name[:_SHOWN_NAME]
    for left in path.parent.glob(f".partial-????????-{glob.escape(name)}"):
        with locked_folder(left) as unused:
            if unused:
                shutil.rmtree(left, ignore_errors=True)
    with _callers_file_named(path):
        _make_folder(path.parent)
        temporary = Path(tempfile.mkdtemp(prefix=".partial-", suffix=f"-{name}", dir=path.parent))
    try:
        with locked_folder(temporary):
            yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def folder_named(folder: Path, name: str) -> Iterator[None]:
    """Name a temporary folder in the errors of the block as the caller knows it."""

    def renamed(value: object) -> object:
        if not isinstance(value, str):
            return value
        return value.replace(str(folder), name).replace(printable(folder), name)

    try:
        yield
    except Exception as error:
        error.args = tuple(map(renamed, error.args))
        if isinstance(error, OSError) and error.filename is not None:
            error.filename = renamed(error.filename)
        raise


def check_new(path: str | os.PathLike[str]) -> None:
    """Refuse a name that is taken or a place that cannot be written to, before any work.

    Raises:
        ValueError: If a file or folder has that name, it is to lie in a file, or Windows cannot store it.
        PermissionError: If its folder cannot be written to.
    """
    if os.path.lexists(path):
        got = describe_path(path)
        raise ValueError(f"{path}: expected a new name, got that of {got}; remove it or choose another.")
    check_writable(path)


def check_name(path: str | os.PathLike[str]) -> None:
    """Refuse a name that Windows would take for a device or for a stream of another file, so that nothing were kept.

    Raises:
        ValueError: If this is Windows and the name is such a one.
    """
    name = Path(path).name
    if sys.platform == "win32" and (_DEVICE.fullmatch(name) or set(name) & set(_NOT_IN_WINDOWS) or name[-1:] in ". "):
        raise ValueError(f"{path}: expected a name that Windows can store, got {name!r}; choose another.")


def check_writable(path: str | os.PathLike[str]) -> None:
    """Refuse a place that no file or new folder can be written to, before any work. Nothing is created there.

    Raises:
        ValueError: If ``path`` is a folder, or is to lie in a file.
        PermissionError: If its folder, or the nearest one above it that exists, cannot be written to.
    """
    path = Path(path)
    _check_file_name(path)
    parents = path.absolute().parents
    folder = next((each for each in parents if os.path.lexists(each)), parents[-1])  # no drive of that letter
    if not folder.is_dir():
        raise ValueError(f"{folder}: expected a folder to write to, got {describe_path(folder)}; choose another.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"{path}: expected a folder that can be written to, got {folder}; choose another.")


def _check_file_name(path: Path) -> None:
    check_name(path)
    if path.is_dir() or is_dead_link(path):  # replacing a link would not write where it leads
        got = describe_path(path)
        raise ValueError(f"{path}: expected a file name to write to, got {got}; choose another name.")


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


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        taken = next(each for each in (folder, *folder.parents) if os.path.lexists(each))
        got = describe_path(taken)
        raise ValueError(f"{taken}: expected a folder to write to, got {got}; choose another.") from error


def _publish(temporary: Path, path: Path, mode: int) -> None:
    """Rename a finished file or folder, with the permissions of the umask (tempfile gives it private ones)."""
    temporary.chmod(mode & ~_umask())
    _rename(temporary, path)
    _sync_folder(path.parent)


def _rename(temporary: Path, path: Path) -> None:
    """Rename, or wait for a second on Windows: it replaces no file that is open, as in a virus scanner for a moment."""
    for wait in (*_WAITS, None):
        try:
            temporary.replace(path)
            return
        except PermissionError as error:
            if sys.platform != "win32":
                raise
            if wait is None:
                raise PermissionError(
                    f"{path}: expected a file that can be replaced, got one that another program has open; close it."
                ) from error
            time.sleep(wait)


@contextmanager
def _callers_file_named(path: Path) -> Iterator[None]:
    """Name the caller's file in an error of its folder or temporary file, and say where a path is too long."""
    try:
        yield
    except OSError as error:
        length = len(str(path.absolute()))
        if sys.platform == "win32" and length > _LONGEST - len(".partial-12345678"):
            raise OSError(
                f"{path}: expected a path that Windows can open, got one of {length} characters; choose a shorter "
                "one, or enable long paths in Windows."
            ) from error
        raise type(error)(error.errno, error.strerror, str(path)) from error


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
