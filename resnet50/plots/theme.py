"""Colors, sizes and small helpers that all figures share."""

from __future__ import annotations

import colorsys
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from matplotlib import colors
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from resnet50.plots.fonts import FONT, drawable, families

INK = "#1f2933"
"""Text and lines."""

MUTED = "#66727f"
"""Secondary text and lines."""

FAINT = "#dde2e8"
"""Grids and frames."""

# Hues by Paul Tol and by Okabe and Ito, softened; distinct with any color vision.
TRAINING = "#3b6fa8"
VALIDATION = "#d9731a"
WRONG = "#b8371f"
SHORTCUT = "#c2571a"

CONVOLUTION = "#4a7fb5"
NORMALIZATION = "#d9b44a"
ACTIVATION = "#3f9c8f"
OTHER = "#98a3af"
FEATURES = "#8494a7"

STAGES = ("#4a7fb5", "#3f9c8f", "#d0a02e", "#b5658c")
"""Colors of the stages in order; a fifth stage starts over."""

PLAIN: dict[str, Any] = {"parse_math": False, "usetex": False}
"""How names are written: a dollar sign begins no formula, whatever matplotlib's settings are."""

SMALL, NORMAL, LARGE = 10.5, 12.0, 17.0
"""Sizes of text in points: labels, main text, titles."""


def new_figure(width: float, height: float) -> Figure:
    """Return an empty white figure of this size in inches."""
    return Figure(figsize=(width, height), facecolor="white")


def new_canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """Return a white figure and axes that fill it, in which a unit is an inch and text cannot outgrow its box."""
    figure = new_figure(width, height)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.set_axis_off()
    return figure, axes


def write(place: Axes | Figure, x: float, y: float, text: str, *, size: float = NORMAL, **options: Any) -> None:
    """Write a text, by default centered; a dollar sign is not the start of a formula."""
    text = drawable(text)
    style: dict[str, Any] = {"ha": "center", "va": "center", "color": INK, "family": families(text)} | options
    place.text(x, y, text, fontsize=size, **PLAIN, **style)


def style_axes(axes: Axes, *, grid: Literal["x", "y"] = "y") -> None:
    """Style a panel with faint grid lines for the values on the axis ``grid``, and one or two sides of a frame."""
    open_sides = ["top", "right"] if grid == "y" else ["top", "right", "left"]
    axes.set_facecolor("white")
    axes.spines[open_sides].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(OTHER)
    axes.grid(axis=grid, color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=SMALL, colors=MUTED, labelfontfamily=FONT)


def write_title(axes: Axes, text: str, *, size: float = NORMAL) -> None:
    """Write the title of a panel above its left end."""
    text = drawable(text)
    axes.set_title(text, fontsize=size, color=INK, family=families(text), loc="left", **PLAIN)


def write_below(axes: Axes, text: str) -> None:
    """Write the label of the horizontal axis."""
    text = drawable(text)
    axes.set_xlabel(text, fontsize=SMALL, color=MUTED, family=families(text), **PLAIN)


def draw_image(
    axes: Axes, image: np.ndarray, corner: tuple[float, float], size: tuple[float, float], **options: Any
) -> None:
    """Draw pixels from the lower left ``corner`` in a ``size`` of (width, height); the axes keep their limits."""
    (left, bottom), (width, height) = corner, size
    limits = axes.get_xlim(), axes.get_ylim()
    axes.imshow(image, extent=(left, left + width, bottom, bottom + height), aspect="auto", **options)
    axes.set(xlim=limits[0], ylim=limits[1])  # imshow sets them to the image


@lru_cache(maxsize=4096)
def text_width(text: str, size: float, weight: str = "normal") -> float:
    """Return the width in inches of the widest line of a text."""
    if not text.strip():
        return 0.0
    text = drawable(text)
    font = FontProperties(family=families(text), weight=weight)
    text = text.replace("$", r"\$")  # no formula
    points = max(TextPath((0, 0), line, size=size, prop=font).get_extents().width for line in text.split("\n"))
    return float(points) / 72 * 1.03  # letters are wider in small pixels


def tint(color: str, share: float) -> tuple[float, float, float]:
    """Mix a color with white: a ``share`` of 0 is white, 1 is the color itself."""
    red, green, blue = (1 - share * (1 - channel) for channel in colors.to_rgb(color))
    return red, green, blue


def shade(color: str, share: float) -> tuple[float, float, float]:
    """Mix a color with black: a ``share`` of 0 is black, 1 is the color itself."""
    red, green, blue = (share * channel for channel in colors.to_rgb(color))
    return red, green, blue


def dark(color: str) -> str:
    """Return a color for dark pages: its lightness is inverted, its hue stays; white becomes nearly black.

    Args:
        color: ``#rrggbb``.
    """
    hue, lightness, saturation = colorsys.rgb_to_hls(*colors.to_rgb(color))
    return colors.to_hex(colorsys.hls_to_rgb(hue, 0.96 - 0.86 * lightness, saturation))
