"""Standard output and error: what they cannot encode is escaped, and a warning is one line."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper

from resnet50._io.text import printable


def escape_what_streams_cannot_encode() -> None:
    """Make standard output and error escape what their encoding lacks; an error there would end finished work."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def one_line_warnings() -> Iterator[None]:
    """Print warnings of the block in one line, without the line of code that issued them."""
    formatted = warnings.formatwarning
    warnings.formatwarning = lambda message, *_, **__: f"warning: {printable(' '.join(str(message).split()))}\n"
    try:
        yield
    finally:
        warnings.formatwarning = formatted
