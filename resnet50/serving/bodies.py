"""The images in the body of a request: one that is the whole body, or the files of a form."""

from __future__ import annotations

from typing import NamedTuple

from fastapi import Request
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser, parse_options_header

from resnet50._io.text import printable
from resnet50.serving.limits import Limits
from resnet50.serving.refusals import RequestError

WHOLE_BODY = "-"
"""Name of an image that is the whole body, as for standard input of the command."""

_NAME_LENGTH = 255  # of a file; what is beyond is cut off


class NamedImage(NamedTuple):
    """An encoded image and the client's name for it."""

    name: str
    content: bytes


def is_form(request: Request) -> bool:
    """Return whether the body is a form, which may hold several images."""
    return _media_type(request) == "multipart/form-data"


async def read_images(request: Request, limits: Limits) -> list[NamedImage]:
    """Read the images of a request whose body is within the limits.

    Raises:
        RequestError: If the body has another type (415), holds no image or too many, or is no form (400).
    """
    images = await _read_form(request, limits) if is_form(request) else [await _read_body(request)]
    if not all(image.content for image in images):
        raise RequestError(400, "expected an image, got an empty body or file.")
    return images


async def _read_body(request: Request) -> NamedImage:
    media_type = _media_type(request)
    if media_type not in ("", "application/octet-stream") and not media_type.startswith("image/"):
        raise RequestError(
            415, "expected the Content-Type image/*, application/octet-stream or multipart/form-data, got another."
        )
    return NamedImage(WHOLE_BODY, await request.body())


async def _read_form(request: Request, limits: Limits) -> list[NamedImage]:
    _, options = parse_options_header(request.headers["Content-Type"])
    # the boundary alone: a charset of the client's choice could be one that is slow to decode
    headers = Headers(raw=[(b"content-type", b'multipart/form-data; boundary="%s"' % options.get(b"boundary", b""))])
    parser = MultiPartParser(headers, request.stream(), max_files=limits.images, max_fields=0)
    parser.spool_max_size = limits.body_bytes  # nothing is written to disk
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise RequestError(400, f"expected a form of at most {limits.images} files ({error.message})") from None
    files = [file for _, file in form.multi_items() if isinstance(file, UploadFile)]
    images = [NamedImage(printable(file.filename)[:_NAME_LENGTH], await file.read()) for file in files]
    await form.close()
    if not images:
        raise RequestError(400, "expected a form with at least one file, got none.")
    return images


def _media_type(request: Request) -> str:
    return request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
