"""Writing a figure to a file."""

from __future__ import annotations

import os
from pathlib import Path

from matplotlib.figure import Figure

from resnet50._io.files import atomic_path

DPI = 160
"""Pixels per inch of every figure."""


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure atomically, in the format of the file's suffix.

    Args:
        figure: Any matplotlib figure.
        path: The file.

    Raises:
        ValueError: If the suffix is missing, or is no format that matplotlib writes.
    """
    if not Path(path).suffix:
        raise ValueError(f"{path}: expected a file name with the suffix of a format, such as .png, got none.")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=DPI, bbox_inches="tight")
