"""Which font has which character, and what to draw where none has it."""

from __future__ import annotations

import re
from functools import lru_cache

from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font

from resnet50._io.text import printable

FONT = "DejaVu Sans"
"""A font that comes with matplotlib, so that figures are the same on every machine."""

# fonts of boxes or of colored bitmaps, and the mathematical ones that come with matplotlib
_NOT_FOR_NAMES = re.compile("last ?resort|emoji|color|math|^cm[a-z]+10$|^stix", re.IGNORECASE)
_MARK = "\u200b"  # has no width; it stands around the code of a character that no font has
_CODE = re.compile(f"{_MARK}U\\+([0-9A-F]+){_MARK}")


def drawable(text: str) -> str:
    """Return the text with ``U+732B`` for a character that no font here has; control characters are escaped."""
    return "".join(c if c == "\n" or font_of(c) else f"{_MARK}U+{ord(c):04X}{_MARK}" for c in _escaped(text))


def shortened(text: str, length: int) -> str:
    """Return what `drawable` makes of the text, or its beginning and an ellipsis, in at most ``length`` characters."""
    text = drawable(text)
    if len(text) <= length:
        return text
    short = text[: length - 1]
    if short.count(_MARK) % 2:  # a code is cut in two
        short = short[: short.rindex(_MARK)]
    return short.rstrip() + "…"


def with_all_characters(text: str) -> str:
    """Return a text with the characters that `drawable` replaced, such as an SVG file: a browser has more fonts."""
    return _CODE.sub(lambda code: chr(int(code[1], 16)), text)


def families(text: str) -> list[str]:
    """Return the fonts to draw the text with: the usual one, and others for the characters that it lacks."""
    return list(dict.fromkeys([FONT, *(font for c in text if c != "\n" and (font := font_of(c)))]))


@lru_cache(maxsize=4096)
def font_of(character: str) -> str | None:
    """Return the family of a font that has a character: the usual one, else the first by name, else None."""
    if get_font(findfont(FontProperties(family=FONT))).get_char_index(ord(character)):
        return FONT
    return next((family for family, path in _other_fonts() if _has(path, character)), None)


@lru_cache(maxsize=1)
def _other_fonts() -> tuple[tuple[str, str], ...]:
    """Return family and file of the upright fonts of this machine, one file for each family."""
    upright = (font for font in fontManager.ttflist if font.style == "normal" and not _NOT_FOR_NAMES.search(font.name))
    files: dict[str, str] = {}
    for font in sorted(upright, key=lambda font: (font.name, abs(int(font.weight) - 400), font.fname)):
        files.setdefault(font.name, font.fname)
    return tuple(files.items())


def _has(path: str, character: str) -> bool:
    try:
        return get_font(path).get_char_index(ord(character)) != 0
    except (OSError, RuntimeError, ValueError):  # a damaged file, or one that FreeType cannot read
        return False


def _escaped(text: str) -> str:
    return "\n".join(map(printable, text.split("\n")))
