"""Checks on names of output files: results are never replaced; pages and figures are, since they can be made again."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from resnet50._io.files import atomic_path, check_writable
from resnet50._io.text import can_be_shown

if TYPE_CHECKING:
    from resnet50.datasets.source import DataSource

_LONGEST = 40  # characters of a name, since a file system allows 255 bytes in all


def check_file(path: str | os.PathLike[str], *suffixes: str) -> str:
    """Return the lower-case suffix of an output file, checked before any work, as is whether it can be written.

    Raises:
        ValueError: If the suffix is none of these, or the path is a folder's.
        PermissionError: If its folder cannot be written to.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in suffixes:
        raise ValueError(
            f"{path}: expected a name that ends in {', '.join(suffixes)}, got {suffix or 'no suffix'}; "
            "choose another name."
        )
    check_writable(path)
    return suffix


@contextmanager
def destination(out: str | None) -> Iterator[TextIO]:
    """Open a new text file that gets its name when the block has ended; None for standard output."""
    if out is None:
        yield sys.stdout
    else:
        with atomic_path(out) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            yield file


def run_name(images: DataSource, recipe: str, *, kind: str = "") -> str:
    """Return the name of a new folder in ``runs/``: of your own images, or the recipe of a task, and the time.

    Args:
        images: Where the images are.
        recipe: Name of the recipe, for images whose place has no name that can be shown.
        kind: What stands before both, such as ``"crossval-"``: ``runs/photos-*`` are trainings alone.
    """
    own = Path(images.path).resolve() if images.task == "folder" and images.path else None
    name = (own.name if own.is_dir() else own.stem)[:_LONGEST] if own else recipe
    return f"{kind}{name if can_be_shown(name) else recipe}-{datetime.now():%Y%m%d-%H%M%S}"


@contextmanager
def reserved_folder(path: Path) -> Iterator[Path]:
    """Create an empty folder for the block, numbered if the name is taken; remove it if it is still empty afterwards.

    Two commands that start in the same second get two folders.

    Args:
        path: Name of the folder, as far as it is free.

    Yields:
        The folder.
    """
    for number in count(1):
        folder = path if number == 1 else path.with_name(f"{path.name}-{number}")
        try:
            folder.mkdir(parents=True)
            break
        except FileExistsError:
            continue
    try:
        yield folder
    finally:
        with suppress(OSError):  # it has content, as usual
            folder.rmdir()
            folder.parent.rmdir()
