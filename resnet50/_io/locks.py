"""Lock a file against other processes, where the system and the disk can."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl: Any = None  # type: ignore[no-redef]

_TAKEN = (errno.EWOULDBLOCK, errno.EAGAIN) if fcntl is not None else (errno.EACCES,)

_FAR = 1 << 30
"""Position of the byte that is locked on Windows, where others cannot read a locked byte."""


class LockedError(ValueError):
    """Another process holds the lock."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of an existing file in the block. The system releases it when the process ends, however it ends.

    Where a file cannot be locked, as on some network shares, or cannot be opened for writing, the block runs without
    a lock.

    Raises:
        LockedError: If another process holds it.
    """
    try:
        file = path.open("r+b")  # network shares lock only files that are open for writing
    except OSError:
        yield
        return
    with file:
        try:
            _lock(file)
        except OSError as error:
            if error.errno in _TAKEN:
                raise LockedError(f"{path}: expected a file that no other process uses, got one in use.") from error
        yield


@contextmanager
def locked_folder(folder: Path) -> Iterator[bool]:
    """Yield whether the block holds the lock of a folder: not where another process does, or no folder can be locked.

    Windows and some network shares lock no folders.
    """
    if fcntl is None:
        yield False
        return
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        yield False
        return
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held = True
        except OSError:
            held = False
        yield held
    finally:
        os.close(handle)


def _lock(file: IO[bytes]) -> None:
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return
    import msvcrt

    file.seek(_FAR)
    msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
