"""Standard input, output and error: an image is read, what cannot be encoded is escaped, a warning is one line."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO, TextIOWrapper
from pathlib import Path

from resnet50._io.text import printable

_MOST_BYTES = 1 << 29  # of an image: 60 million pixels of 16 bits a channel, not compressed, are 360 million


class _StandardInput(BytesIO):
    """What standard input held, with the name that messages give it."""

    name = "standard input"


def read_stdin() -> BytesIO:
    """Read an image from standard input.

    Raises:
        ValueError: If it is a terminal, or holds more than any image.
    """
    if sys.stdin is None or sys.stdin.isatty():
        raise ValueError("-: expected an image on standard input, got a terminal; pipe a file in, or name one.")
    content = sys.stdin.buffer.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise ValueError(f"-: expected an image on standard input, got more than {_MOST_BYTES >> 20} MiB; pipe in one.")
    return _StandardInput(content)


def mend_streams() -> None:
    """Make standard output and error escape what their encoding lacks; an error there would end finished work.

    A standard error that is closed gets a place, since what is printed to None comes on standard output.
    """
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the process ends
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
