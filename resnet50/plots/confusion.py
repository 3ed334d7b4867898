"""The confusion matrix, from two classes to a thousand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from resnet50.plots import fonts, theme

SPARSE = 12
"""With more classes, zeros off the diagonal stay blank, so that other counts stand out."""

CROWDED = 40
"""Up to this many classes the matrix grows with their number; with more, its cells shrink and are shaded more."""

LEGIBLE = 130
"""Up to this many classes there is room for names and counts; with more, only the shades show the counts."""

# From transparent, so that the shades suit light and dark paper.
_SHADES = LinearSegmentedColormap.from_list("shades", [(theme.TRAINING, 0.0), (theme.TRAINING, 1.0)])


@dataclass(frozen=True)
class _Grid:
    """Where the cells of the matrix are, in inches."""

    left: float
    bottom: float
    cell: float
    classes: int

    @property
    def extent(self) -> float:
        """Return the width and height of the matrix."""
        return self.cell * self.classes

    @property
    def top(self) -> float:
        return self.bottom + self.extent

    def x(self, column: float) -> float:
        """Return the center of a column."""
        return self.left + (column + 0.5) * self.cell

    def y(self, row: float) -> float:
        """Return the center of a row; the first row is at the top."""
        return self.top - (row + 0.5) * self.cell


def draw_confusion(confusion: np.ndarray, class_names: Sequence[str], *, title: str | None) -> Figure:
    """Draw a confusion matrix.

    Args:
        confusion: Counts, ``(classes, classes)``: rows are the true classes, columns the predicted ones.
        class_names: Name of each class.
        title: Title, such as ``"SIGNS: 98.3% accuracy"``; None for none.

    Returns:
        Figure with the count in each cell, shaded by its share of the row, 0..1. With more than `CROWDED` classes the
        shade is the square root of the share, so that a few images show in a small cell; with more than `LEGIBLE`
        there are shades only.

    Raises:
        ValueError: If the counts are not square, are negative, or do not fit the names.
    """
    counts = _checked_counts(confusion, len(class_names))
    classes = len(class_names)
    cell = float(np.clip(6.5 / classes, 14.4 / max(classes, CROWDED), 0.85))
    size = theme.NORMAL if classes <= 10 else min(theme.SMALL - 2.5, 54 * cell)
    names = [fonts.shortened(str(name), 22) for name in class_names] if classes <= LEGIBLE else []
    longest = max((theme.text_width(name, min(size, theme.SMALL)) for name in names), default=0)
    upright = longest > cell * 0.92
    grid = _Grid(left=0.62 + longest, bottom=0.5 + (longest if upright else 0.25), cell=cell, classes=classes)
    width = max(grid.left + grid.extent + 0.35, 0.5 + theme.text_width(title or "", theme.LARGE, "bold"))
    figure, axes = theme.new_canvas(width, grid.top + (0.72 if title else 0.15))
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    shades = shares if classes <= CROWDED else np.sqrt(shares)
    _draw_cells(axes, grid, shades, lines=bool(names))
    if names:
        _write_names(axes, grid, names, min(size, theme.SMALL), upright=upright)
        _write_counts(axes, grid, counts, shades, size)
    center = grid.left + grid.extent / 2
    theme.write(axes, center, 0.22, "Predicted label", size=theme.SMALL, color=theme.MUTED)
    middle = grid.bottom + grid.extent / 2
    theme.write(axes, 0.34, middle, "True label", size=theme.SMALL, color=theme.MUTED, rotation=90)
    if title:
        theme.write(axes, 0.25, grid.top + 0.39, title, size=theme.LARGE, ha="left", weight="bold")
    return figure


def _checked_counts(confusion: np.ndarray, classes: int) -> np.ndarray:
    counts = np.asarray(confusion)
    if counts.shape != (classes, classes) or not classes:
        raise ValueError(
            f"confusion: expected a row and a column for each of {classes} classes, got shape {counts.shape}."
        )
    wrong = ~(counts >= 0) | ~np.isfinite(counts)
    if wrong.any():
        raise ValueError(f"confusion: expected counts, got {counts[wrong][0]}.")
    return counts


def _draw_cells(axes: Axes, grid: _Grid, shades: np.ndarray, *, lines: bool) -> None:
    corner, size = (grid.left, grid.bottom), (grid.extent, grid.extent)
    if lines:
        _draw_shades(axes, grid, shades)
        steps, width = grid.cell * np.arange(grid.classes + 1), min(0.8, 3 * grid.cell)
        axes.vlines(grid.left + steps, grid.bottom, grid.top, color=theme.FAINT, linewidth=width)
        axes.hlines(grid.bottom + steps, grid.left, grid.left + grid.extent, color=theme.FAINT, linewidth=width)
    else:
        theme.draw_image(axes, shades, corner, size, cmap=_SHADES, vmin=0, vmax=1, interpolation="none")
    axes.add_patch(Rectangle(corner, *size, facecolor="none", edgecolor=theme.FAINT))


def _draw_shades(axes: Axes, grid: _Grid, shades: np.ndarray) -> None:
    """Draw a square for each cell with images: in an SVG, the colors of an image could not follow the paper's."""
    cells = np.argwhere(shades > 0)
    corners = [(grid.x(column) - grid.cell / 2, grid.y(row) - grid.cell / 2) for row, column in cells]
    squares = [Rectangle(corner, grid.cell, grid.cell) for corner in corners]
    shares = shades[tuple(cells.T)]
    axes.add_collection(PatchCollection(squares, facecolors=theme.TRAINING, alpha=shares, linewidths=0), autolim=False)


def _write_names(axes: Axes, grid: _Grid, names: Sequence[str], size: float, *, upright: bool) -> None:
    for label, name in enumerate(names):
        theme.write(axes, grid.left - 0.1, grid.y(label), name, size=size, ha="right")
        rotation = 90 if upright else 0
        theme.write(axes, grid.x(label), grid.bottom - 0.1, name, size=size, va="top", rotation=rotation)


def _write_counts(axes: Axes, grid: _Grid, counts: np.ndarray, shades: np.ndarray, size: float) -> None:
    written = counts > 0 if grid.classes > SPARSE else np.ones_like(counts, bool)
    sizes: dict[float, float] = {}
    for true, predicted in np.argwhere(written | np.eye(grid.classes, dtype=bool)):
        count = counts[true, predicted]
        if count not in sizes:
            sizes[count] = _fitting(f"{count:g}", size, grid.cell)
        color = "white" if shades[true, predicted] > 0.55 else theme.INK if count else theme.OTHER
        weight = "bold" if true == predicted else "normal"
        x, y = grid.x(predicted), grid.y(true)
        theme.write(axes, x, y, f"{count:g}", size=sizes[count], color=color, weight=weight)


def _fitting(text: str, size: float, width: float) -> float:
    """Return the size, or a smaller one at which the text fits into this width in inches."""
    return size * min(1.0, 0.86 * width / theme.text_width(text, size, "bold"))
