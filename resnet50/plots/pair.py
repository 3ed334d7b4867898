"""Writing a figure as a pair of SVG files, one for light pages and one for dark ones."""

from __future__ import annotations

import os
from pathlib import Path

from matplotlib.figure import Figure

from resnet50.plots.save import save_figure


def save_pair(figure: Figure, path: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Write ``name.svg`` and ``name-dark.svg``.

    Args:
        figure: Any matplotlib figure.
        path: The first file; its suffix is ``.svg``.

    Returns:
        Both paths.

    Raises:
        ValueError: If the suffix is not ``.svg``.
    """
    light = Path(path)
    if light.suffix != ".svg":
        raise ValueError(f"{light}: expected the suffix .svg, got {light.suffix or 'none'}.")
    dark = light.with_name(f"{light.stem}-dark.svg")
    save_figure(figure, light)
    save_figure(figure, dark, dark=True)
    return light, dark
