"""The mark in the PNG files that this library draws, by which they are told from images to learn from."""

from __future__ import annotations

import os
import stat

MARK = {"Software": "resnet50"}
"""Metadata of a figure in PNG: a keyword with its text."""

_MARKED = b"tEXt" + b"\0".join(text.encode() for item in MARK.items() for text in item)
_START = 4096  # bytes of a PNG that hold its first metadata


def is_own_figure(path: str | os.PathLike[str]) -> bool:
    """Return whether a file is a figure that this library drew; False for one that cannot be read."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 - of many files; reading a pipe would never end
            return False
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123
            return _MARKED in file.read(_START)
    except (OSError, ValueError):  # ValueError: a name with a zero byte
        return False
