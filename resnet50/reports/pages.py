"""Rendering pages that stand alone: one HTML file with its images inside, no scripts and no requests."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from matplotlib.figure import Figure
from PIL import Image

from resnet50._io.text import plural, printable
from resnet50.plots import theme
from resnet50.plots.save import adaptive_svg

LARGEST = 224
"""Longest side of an image on a page, in pixels; a larger image is reduced."""

_LOSSLESS = 96  # up to this side, since the artifacts of a JPEG show where few pixels are enlarged
_SUFFIX = 4  # characters of the longest suffix, such as jpeg
_UNBROKEN = 20  # characters that fit below an image
_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class PageImage:
    """An image or a figure on a page.

    Attributes:
        uri: The image as a data URI.
        width: Width in CSS pixels.
        height: Height in CSS pixels.
        message: What it shows, without a full stop; empty for a photo.
    """

    uri: str
    width: float
    height: float
    message: str = ""


def render(template: str, **context: Any) -> str:
    """Render a page.

    Args:
        template: File name in ``templates/``.
        context: Variables of the template. All text is escaped, so that no name of a class or file becomes markup, and
            its control characters and bytes that are not UTF-8 are shown as escapes.

    Returns:
        HTML text, for a file in UTF-8.
    """
    return _environment().get_template(template).render(**context)


def page_image(pixels: np.ndarray) -> PageImage:
    """Return an image for a page: PNG if it is small, else JPEG, reduced to `LARGEST`.

    Args:
        pixels: RGB, uint8, ``(height, width, 3)``, 0..255.
    """
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.thumbnail((LARGEST, LARGEST))
    small = max(image.size) <= _LOSSLESS
    buffer = io.BytesIO()
    image.save(buffer, "png" if small else "jpeg", **({} if small else {"quality": 88}))
    return PageImage(_data_uri(buffer.getvalue(), "png" if small else "jpeg"), *image.size)


def page_figure(figure: Figure, message: str) -> PageImage:
    """Return a figure for a page: SVG in light or dark colors, as the reader has set; a point is a CSS pixel."""
    svg = adaptive_svg(figure)
    _, _, width, height = (float(number) for number in re.findall(r'viewBox="(.*?)"', svg)[0].split())
    return PageImage(_data_uri(svg.encode(), "svg+xml"), width, height, message)


def breakable(path: str) -> Markup:
    """Return a path as HTML that a browser breaks after separators, and not in a short end such as ``cat.jpg``."""
    *parts, end = (escape(printable(part)) for part in re.split(r"(?<=[/_-])", path))
    stem, dot, suffix = end.rpartition(".")
    if stem and dot and len(suffix) <= _SUFFIX:
        whole, rest = (end, "") if len(end) <= _UNBROKEN else (dot + suffix, stem)
        end = Markup("{}<i>{}</i>").format(rest, whole)
    return Markup("<wbr>").join([*parts, end])


def whole_options(command: str) -> Markup:
    """Return a shell command as HTML that a browser does not break after the hyphens of an option."""
    words = [escape(printable(word)) for word in command.split(" ")]
    return Markup(" ").join(Markup("<b>{}</b>").format(word) if word.startswith("--") else word for word in words)


def _data_uri(content: bytes, subtype: str) -> str:
    return f"data:image/{subtype};base64,{base64.b64encode(content).decode()}"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: value if hasattr(value, "__html__") else printable(value),  # __html__: already HTML
    )
    environment.filters |= {
        "breakable": breakable,
        "decimals": lambda number, digits: f"{number:.{digits}f}",
        "points": lambda share: f"{100 * share:+.1f}",
        "percent": lambda share, digits=1: f"{share:.{digits}%}",
        "plural": plural,
        "whole_options": whole_options,
        "thousands": lambda number: f"{number:,}",
    }
    environment.globals["theme"] = theme
    return environment
