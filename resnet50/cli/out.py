"""Where results go: what is there stays there; only pages and figures, which can be made again, are replaced."""

from __future__ import annotations

import os
from pathlib import Path


def check_new(path: str | os.PathLike[str]) -> None:
    """Refuse the name of a result under which there is something; before any work.

    Raises:
        ValueError: If there is.
    """
    if Path(path).exists():
        found = "folder" if Path(path).is_dir() else "file"
        raise ValueError(f"{path}: there is a {found} already; remove it, or choose another name.")
