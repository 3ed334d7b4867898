"""Writing a figure to a file."""

from __future__ import annotations

import os
import re
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from resnet50._io.files import atomic_path
from resnet50.plots.theme import dark as dark_color

DPI = 160
"""Pixels per inch of every figure."""


def save_figure(figure: Figure, path: str | os.PathLike[str], *, dark: bool = False) -> None:
    """Write a figure atomically, in the format of the file's suffix. The same figure gives the same SVG file.

    Args:
        figure: Any matplotlib figure.
        path: The file.
        dark: Whether to write it for dark paper, with a transparent background; only SVG.

    Raises:
        ValueError: If the suffix is missing, is no format that matplotlib writes, or is not ``.svg`` where ``dark``.
    """
    suffix = Path(path).suffix
    if not suffix:
        raise ValueError(f"{path}: expected a file name with the suffix of a format, such as .png, got none.")
    if dark and suffix != ".svg":
        raise ValueError(f"{path}: expected the suffix .svg for a dark figure, got {suffix}.")
    metadata = {"Date": None} if suffix == ".svg" else None
    with atomic_path(path) as temporary, mpl.rc_context({"svg.hashsalt": "resnet50"}):
        figure.savefig(temporary, dpi=DPI, bbox_inches="tight", metadata=metadata, transparent=dark)
        if dark:
            svg = Path(temporary).read_text(encoding="utf-8")
            Path(temporary).write_text(
                re.sub("#[0-9a-f]{6}", lambda color: dark_color(color[0]), svg), encoding="utf-8"
            )
