"""Where results go: results are never replaced, pages and figures are, since they can be made again."""

from __future__ import annotations

import os
from pathlib import Path


def check_new(path: str | os.PathLike[str]) -> None:
    """Refuse the name of a result under which there is something; before any work.

    Raises:
        ValueError: If there is.
    """
    if Path(path).exists():
        kind = "folder" if Path(path).is_dir() else "file"
        raise ValueError(f"{path}: expected a new name, got that of an existing {kind}; remove it or choose another.")


def check_suffix(path: str | os.PathLike[str], *suffixes: str) -> str:
    """Return the lower-case suffix of the name of a result; before any work.

    Raises:
        ValueError: If it is none of the suffixes.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in suffixes:
        raise ValueError(f"{path}: expected a name that ends in {', '.join(suffixes)}, got {suffix or 'no ending'}.")
    return suffix
