"""A file with its class, and how class and split names are spelled, whatever the source."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from resnet50._io.text import short
from resnet50.data.left_out import LeftOut

SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""The split that each name in a source means, in lower case."""


class LabeledFile(NamedTuple):
    """One image of a source.

    Attributes:
        location: Path of the file, as text: that of a million files takes a quarter of their `path`.
        class_name: Name of its class.
        split: ``"train"``, ``"validation"`` or ``"test"``; None if the source does not assign one.
        group: What the image belongs to; "" for nothing.
    """

    location: str
    class_name: str
    split: str | None = None
    group: str = ""

    @property
    def path(self) -> Path:
        """The file."""
        return Path(self.location)


class FoundFiles(NamedTuple):
    """The images of a source.

    Attributes:
        files: The images.
        left_out: What else the source holds.
    """

    files: Sequence[LabeledFile]
    left_out: tuple[LeftOut, ...] = ()


def class_name(text: str) -> str:
    """Return one spelling for names that look alike: macOS stores accents as characters of their own."""
    return unicodedata.normalize("NFC", utf8_name(text)).strip()


def utf8_name(text: str) -> str:
    """Return a file's name as its bytes say in UTF-8, also where the locale is ``C`` and Python reads them as ASCII."""
    try:
        text.encode()
        return text
    except UnicodeEncodeError:
        return os.fsencode(text).decode("utf-8", "surrogateescape")


def split_name(text: str | None, *, where: object) -> str | None:
    """Return the split that a name means; None for no name.

    Raises:
        ValueError: If the name is none of `SPLIT_NAMES`; ``where`` begins the message.
    """
    if not text:
        return None
    if text.lower() not in SPLIT_NAMES:
        raise ValueError(f"{where}: expected one of {', '.join(SPLIT_NAMES)} as the split, got {short(text)}.")
    return SPLIT_NAMES[text.lower()]
