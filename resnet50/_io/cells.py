"""Cells of CSV files: text that a spreadsheet would run as a formula is written so that it stays text."""

from __future__ import annotations

import re
from typing import TypeVar

T = TypeVar("T")

_FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")  # the last four are the wide forms of the first four
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.IGNORECASE | re.ASCII)


def harmless(cell: T) -> T | str:
    """Return a cell with an apostrophe in front if a spreadsheet would take it for a formula; `restored` undoes it.

    Args:
        cell: Text such as a file's name or a class name; anything else, and text that is a number, stays as it is.
    """
    if isinstance(cell, str) and _FORMULA.match(cell) and not _NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell


def restored(text: str) -> str:
    """Return the text of a cell that `harmless` wrote."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text[1:]) else text
