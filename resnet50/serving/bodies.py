"""The images in the body of a request: one that is the whole body, or the files of a form."""

from __future__ import annotations

import asyncio
import logging
from typing import NamedTuple

from fastapi import Request
from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from resnet50._io.text import printable
from resnet50.serving.limits import Limits
from resnet50.serving.refusals import RequestError

WHOLE_BODY = "-"
"""Name of an image that is the whole body, as of standard input for the command."""

_NAME_LENGTH = 255  # of a file; the rest is cut off
_CHUNK = 1 << 16  # bytes of a form that are read at a time

# otherwise Python prints what it finds wrong with a form, which the client is told
logging.getLogger("python_multipart").addHandler(logging.NullHandler())


class NamedImage(NamedTuple):
    """An encoded image and the client's name for it."""

    name: str
    content: bytes


def is_form(request: Request) -> bool:
    """Return whether the body is a form, which may hold several images."""
    return _media_type(request) == "multipart/form-data"


async def read_images(request: Request, limits: Limits) -> list[NamedImage]:
    """Read the images of a request whose body is within the limits.

    An empty file of a form is not refused here: it gets its own error, and the others are classified.

    Raises:
        RequestError: If the body has another type (415), or is empty, no form, incomplete or of too many files (400).
    """
    body = await request.body()
    if is_form(request):
        # in a thread: to read a large form takes a second, in which the others would wait
        return await asyncio.to_thread(read_form, body, request.headers["Content-Type"], most=limits.images)
    _check_media_type(_media_type(request))
    if not body:
        raise RequestError(400, "expected an image, got an empty body.")
    return [NamedImage(WHOLE_BODY, body)]


def read_form(body: bytes, content_type: str, *, most: int) -> list[NamedImage]:
    """Read the files of a form, ``multipart/form-data``.

    Args:
        body: The whole form.
        content_type: Its Content-Type, which has the boundary.
        most: Most files.

    Raises:
        RequestError: With status 400, if it is no such form, has no end, or has fields that are not files.
    """
    form = _Form(most)
    _, options = parse_options_header(content_type)
    if not options.get(b"boundary"):
        raise RequestError(400, "expected a boundary in the Content-Type of a form, got none.")
    try:
        parser = MultipartParser(options[b"boundary"], form.callbacks())
        for start in range(0, len(body), _CHUNK):  # between two chunks other threads have their turn
            parser.write(body[start : start + _CHUNK])
    except FormParserError:
        raise RequestError(400, "expected a form, multipart/form-data, got something else.") from None
    if not form.is_complete:
        raise RequestError(400, "expected a form with an end, got a part of one.")
    if not form.images:
        raise RequestError(400, "expected a form with at least one file, got none.")
    return form.images


class _Form:
    """What the parser has found so far."""

    def __init__(self, most: int) -> None:
        self.images: list[NamedImage] = []
        self.is_complete = False
        self._most = most
        self._field, self._value, self._disposition = b"", b"", b""
        self._name = ""
        self._content: list[bytes] = []

    def callbacks(self) -> dict[str, object]:
        """Return what the parser calls."""
        names = ("header_field", "header_value", "header_end", "headers_finished", "part_data", "part_end", "end")
        return {f"on_{name}": getattr(self, f"_on_{name}") for name in names}

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        if self._field.lower() == b"content-disposition":
            self._disposition = self._value
        self._field, self._value = b"", b""

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        if b"filename" not in options:
            raise RequestError(400, "expected a form of files, got a field that is none.")
        if len(self.images) == self._most:
            raise RequestError(400, f"expected a form of at most {self._most} files, got more.")
        self._name = printable(options[b"filename"].decode("utf-8", "backslashreplace")[:_NAME_LENGTH])
        self._disposition, self._content = b"", []

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._content.append(data[start:end])

    def _on_part_end(self) -> None:
        self.images.append(NamedImage(self._name, b"".join(self._content)))

    def _on_end(self) -> None:
        self.is_complete = True


def _check_media_type(media_type: str) -> None:
    if media_type not in ("", "application/octet-stream") and not media_type.startswith("image/"):
        raise RequestError(
            415, "expected the Content-Type image/*, application/octet-stream or multipart/form-data, got another."
        )


def _media_type(request: Request) -> str:
    return request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
