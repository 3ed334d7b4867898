"""Checks on names of output files: results are never replaced; pages and figures are, since they can be made again."""

from __future__ import annotations

import os
from pathlib import Path

from resnet50._io.files import check_name


def check_new(path: str | os.PathLike[str]) -> None:
    """Refuse a name that is taken or that cannot be stored, before any work.

    Raises:
        ValueError: If a file or folder has that name, or Windows cannot store it.
    """
    check_name(path)
    if Path(path).exists():
        existing = "folder" if Path(path).is_dir() else "file"
        raise ValueError(
            f"{path}: expected a new name, got that of an existing {existing}; remove it or choose another."
        )


def check_suffix(path: str | os.PathLike[str], *suffixes: str) -> str:
    """Return the lower-case suffix of an output's name, checked before any work.

    Raises:
        ValueError: If it is none of the suffixes.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in suffixes:
        raise ValueError(
            f"{path}: expected a name that ends in {', '.join(suffixes)}, got {suffix or 'no ending'}; "
            "choose another name."
        )
    return suffix
