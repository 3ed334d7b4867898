"""Writing a figure to a file, or as SVG into a page."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from resnet50._io.figure_mark import MARK
from resnet50._io.files import atomic_path
from resnet50.plots.fonts import with_all_characters
from resnet50.plots.theme import dark as dark_color

DPI = 160
"""Pixels per inch of every figure."""

_SVG = {"svg.hashsalt": "resnet50"}  # so that the same figure gives the same SVG
_LEFT_OUT = re.compile(r"<\?xml.*?\?>|<!DOCTYPE.*?>|<metadata>.*?</metadata>|<!--.*?-->|(?<=>)\s+(?=<)", re.DOTALL)
_TAG = re.compile("<[^<>]+>")
_OF_TAG = re.compile(r'font-family: [^;"]*; | transform="rotate\(-?0 [^"]*"')
_LONG_NUMBER = re.compile(r"(?<![\d.])([1-9]\d*\.\d\d)\d+")
_COLOR = re.compile("(?<=: )#[0-9a-f]{6}")
_FONT = "text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif}"  # as on a page


def save_figure(figure: Figure, path: str | os.PathLike[str], *, dark: bool = False) -> None:
    """Write a figure atomically, in the format of the file's suffix. The same figure gives the same SVG file.

    Args:
        figure: Any matplotlib figure.
        path: The file.
        dark: Whether to write it for dark pages, with a transparent background; only SVG.

    Raises:
        ValueError: If the suffix is missing, is no format that matplotlib writes, or is not ``.svg`` where ``dark``.
    """
    suffix = Path(path).suffix
    if not suffix:
        raise ValueError(f"{path}: expected a file name with the suffix of a format, such as .png, got none.")
    if dark and suffix != ".svg":
        raise ValueError(f"{path}: expected the suffix .svg for a dark figure, got {suffix}.")
    metadata = {".svg": {"Date": None}, ".png": MARK}.get(suffix)
    with atomic_path(path) as temporary, mpl.rc_context(_SVG):
        figure.savefig(temporary, dpi=DPI, bbox_inches="tight", metadata=metadata, transparent=dark)
        if dark:
            svg = Path(temporary).read_text(encoding="utf-8")
            Path(temporary).write_text(
                re.sub("#[0-9a-f]{6}", lambda color: dark_color(color[0]), svg), encoding="utf-8"
            )


def adaptive_svg(figure: Figure) -> str:
    """Return a figure as SVG text for a page, in colors for dark pages where the reader's setting is dark.

    The colors are variables of a style inside the SVG, which follows ``prefers-color-scheme``; the paper is
    transparent, and images keep their colors. Text stays text, in the reader's font, whose letters are usually no
    wider than those that the figure was laid out with.

    Args:
        figure: Any matplotlib figure.
    """
    buffer = io.StringIO()
    with mpl.rc_context({**_SVG, "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", transparent=True)
    text = with_all_characters(buffer.getvalue())
    # numbers, fonts and colors are those of tags: the texts of a figure stay as they are
    svg = _TAG.sub(lambda tag: _LONG_NUMBER.sub(r"\1", _OF_TAG.sub("", tag[0])), _LEFT_OUT.sub("", text))
    colors = sorted({color for tag in _TAG.findall(svg) for color in _COLOR.findall(tag)})
    names = {color: f"--{number}" for number, color in enumerate(colors)}
    light = "".join(f"{name}:{color};" for color, name in names.items())
    dark = "".join(f"{name}:{dark_color(color)};" for color, name in names.items())
    style = f"<style>{_FONT}:root{{{light}}}@media(prefers-color-scheme:dark){{:root{{{dark}}}}}</style>"
    colored = _TAG.sub(lambda tag: _COLOR.sub(lambda color: f"var({names[color[0]]})", tag[0]), svg)
    return re.sub("<svg .*?>", lambda tag: tag[0] + style, colored, count=1)
