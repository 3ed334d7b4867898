"""Figures to files."""

from __future__ import annotations

import os

from matplotlib.figure import Figure

from resnet50.files import atomic_path


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure, atomically, in the format that the name ends in.

    Args:
        figure: Any matplotlib figure.
        path: The file.
    """
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=160, bbox_inches="tight")
