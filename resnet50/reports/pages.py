"""Rendering pages that stand alone: one HTML file with its images inside, no scripts and no requests."""

from __future__ import annotations

import base64
import io
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from resnet50._io.text import plural, printable
from resnet50.plots import theme
from resnet50.plots.save import DPI

LARGEST = 224
"""Longest side of an image on a page, in pixels; a larger image is reduced."""

_LOSSLESS = 96  # up to this side, since the artifacts of a JPEG show where few pixels are enlarged
_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class PageFigure:
    """A figure on a page.

    Attributes:
        uri: The PNG file as a data URI.
        width: Width in CSS pixels, at which a point of text is a pixel.
    """

    uri: str
    width: float


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


def image_uri(pixels: np.ndarray) -> str:
    """Return an image as a data URI: PNG if it is small, else JPEG, reduced to `LARGEST`.

    Args:
        pixels: RGB, uint8, ``(height, width, 3)``, 0..255.
    """
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.thumbnail((LARGEST, LARGEST))
    small = max(image.size) <= _LOSSLESS
    buffer = io.BytesIO()
    image.save(buffer, "png" if small else "jpeg", **({} if small else {"quality": 88}))
    return _data_uri(buffer.getvalue(), "png" if small else "jpeg")


def page_figure(path: str | os.PathLike[str]) -> PageFigure:
    """Return a figure for a page.

    Args:
        path: PNG file that `resnet50.plots.save.save_figure` wrote.
    """
    content = Path(path).read_bytes()
    return PageFigure(_data_uri(content, "png"), width=Image.open(io.BytesIO(content)).width / DPI * 72)


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
        "decimals": lambda number, digits: f"{number:.{digits}f}",
        "percent": lambda share, digits=1: f"{share:.{digits}%}",
        "plural": plural,
        "thousands": lambda number: f"{number:,}",
    }
    environment.globals["theme"] = theme
    return environment
