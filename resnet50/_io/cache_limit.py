"""A limit on folders of the cache that hold what can be computed again: what was used last stays."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

_LEFT_BEHIND = 24 * 3600  # seconds without a change after which a half-written file is one of a killed process


def limit_cache(folder: Path, pattern: str, *, max_bytes: int) -> None:
    """Remove the files that were used longest ago, and what killed processes left half written.

    Args:
        folder: A folder of the cache.
        pattern: Which of its files, such as ``"*.npy"``. Their modification time is that of their last use.
        max_bytes: Most bytes of all files that stay.
    """
    files = []
    for file in folder.glob(pattern):
        with suppress(OSError):  # another process was faster
            files.append((file.stat(), file))
    for status, file in sorted(files, key=lambda each: -each[0].st_mtime):
        max_bytes -= status.st_size
        half_written = file.name.startswith(".partial-")
        if time.time() - status.st_mtime > _LEFT_BEHIND if half_written else max_bytes < 0:
            with suppress(OSError):  # Windows, where another process has it open
                file.unlink()
