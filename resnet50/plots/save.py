"""Figures to files."""

from __future__ import annotations

import os
from pathlib import Path

from matplotlib.figure import Figure

from resnet50._io.files import atomic_path

DPI = 160
"""Pixels an inch in every figure."""


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure, atomically, in the format that the name ends in.

    Args:
        figure: Any matplotlib figure.
        path: The file.

    Raises:
        ValueError: If the name does not end in a format that matplotlib writes.
    """
    if not Path(path).suffix:
        raise ValueError(f"{path}: expected a name that ends in a format, such as .png, got none.")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=DPI, bbox_inches="tight")
