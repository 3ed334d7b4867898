"""Decode one image file to pixels, or raise an error that says what is wrong with it."""

from __future__ import annotations

import ctypes
import errno
import io
import logging
import math
import os
import threading
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, TiffImagePlugin, _imaging, features

from resnet50._io.paths import as_given, describe_path
from resnet50._io.workers import in_order
from resnet50.data.fit import BORDER, DEFAULT_FIT, Fit
from resnet50.data.resizing import decoded_size, fit_pixels
from resnet50.data.signatures import describe_start
from resnet50.data.value_range import (
    Sample,
    is_deep,
    is_deep_color,
    measure_range,
    read_deep_color,
    sample_values,
)

_AVIF = features.check("avif")  # not every build of Pillow has it

SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm",
    *((".avif",) if _AVIF else ()),
)  # fmt: skip
"""Suffixes of the files in a folder that count as images."""

Box = tuple[int, int, int, int]
"""Left, top, right and bottom of a piece of an image, in whole pixels."""

ImageLike = str | os.PathLike[str] | bytes | BinaryIO | Image.Image | np.ndarray
"""What `fit_image` takes: the path of an image file, its bytes, an open binary file, a Pillow image, or pixels."""

# Pillow reads MPO, which some phones write, as a JPEG. Its readers of PPM, PGM and PBM are short Python.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", *(("AVIF",) if _AVIF else ()))
# A JPEG is decoded at a fraction of its size; that of a large phone has 108 million pixels.
_MAX_JPEG_PIXELS = 120_000_000
# Other formats are decoded whole, at 4 bytes a pixel, twice if transparent and nearly four times from WebP. With this
# limit no image takes more than 1 GB, and several can be read at a time.
_MAX_PIXELS = 60_000_000
_MAX_SCANS = 50  # of a progressive JPEG: each covers all pixels and may take only a hundred bytes; 10 are usual

_PNG_START = b"\x89PNG\r\n\x1a\n"

_ORIENTATION = 0x0112  # the EXIF tag
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_QUARTER_TURNS = (5, 6, 7, 8)

_SAMPLE = 200  # most images of a source that its range of values is measured on

_LASTING = (None, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOTDIR)  # errors with a file itself

# otherwise Python prints Pillow's errors, which are raised too
logging.getLogger("PIL").addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True)
class Header:
    """The properties of an image file that are known before any pixel is decoded.

    Attributes:
        width: In pixels, of the upright image.
        height: In pixels, of the upright image.
        mode: Pillow's name of the pixel format, such as ``"RGB"``, ``"L"`` (gray), ``"P"`` (palette), ``"CMYK"``.
        format: Pillow's name of the file format, such as ``"JPEG"``.
        oriented: Whether the file stores the image rotated or mirrored, as its EXIF orientation declares.
        deep: Whether it has values of more than 8 bits, which need a value range.
        more_frames: Whether frames or pages follow the first, which alone is read. The second image in a phone's JPEG
            (MPO) is a preview or a map of brightness, which does not count.
    """

    width: int
    height: int
    mode: str
    format: str
    oriented: bool
    deep: bool = False
    more_frames: bool = False


class TemporaryError(ValueError):
    """A file was not read for a reason that may not lie in it: a disk, a network, or too little memory."""


def read_image(path: str | os.PathLike[str], *, height: int, width: int, fit: Fit = DEFAULT_FIT) -> np.ndarray:
    """Read an image as RGB: apply its EXIF orientation, and fit it to a size.

    Gray becomes three equal channels, transparent pixels become white, and of an animation the first frame is used.
    Color profiles are not applied. Values of more than 8 bits are scaled from the fit's value range, which
    `measure_value_range` measures for a whole source.

    A truncated file is refused, even if a part of the image could be decoded. Damage that a decoder does not report,
    as in the middle of a JPEG, cannot be detected.

    Args:
        path: JPEG, PNG, WebP, BMP, GIF, TIFF, PPM, PGM, PBM or, where Pillow has it, AVIF, whatever its suffix.
        height: Height of the result in pixels.
        width: Width of the result in pixels.
        fit: How it is fitted.

    Returns:
        RGB uint8 ``(height, width, 3)``, 0..255.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is not such an image, is damaged, has more than 60 million pixels (a JPEG: 120), or more
            than 8 bits a channel without a value range.
    """
    with _opened(path) as image:
        return _decode(image, height, width, fit)


def fit_image(image: ImageLike, *, height: int, width: int, fit: Fit = DEFAULT_FIT, name: str = "image") -> np.ndarray:
    """Fit an image from anywhere to a size, exactly as `read_image` fits a file.

    Args:
        image: Path, encoded bytes or open binary file of an image that `read_image` reads; a Pillow image; or pixels:
            ``(height, width)`` gray, ``(height, width, 3)`` RGB or ``(height, width, 4)`` RGB with opacity, 0..255,
            integers or floats, which are rounded. It is not changed.
        height: Height of the result in pixels.
        width: Width of the result in pixels.
        fit: How it is fitted.
        name: Name of an image that has no path, for errors.

    Returns:
        RGB uint8 ``(height, width, 3)``, 0..255. A Pillow image of a JPEG file can differ by rounding from the file,
        which `read_image` decodes at a fraction of its size.

    Raises:
        FileNotFoundError: If there is no file at the path.
        ValueError: If the image cannot be read, or has more pixels than `read_image` takes.
    """
    if isinstance(image, str | os.PathLike):
        return read_image(image, height=height, width=width, fit=fit)
    with _reading(name), _quiet:
        if isinstance(image, Image.Image):
            _check_format(image)
            _check_scans(image)
            return _decode(image.copy(), height, width, fit)  # of a copy, since decoding may shrink a JPEG
        if isinstance(image, bytes | bytearray | memoryview):
            image = io.BytesIO(image)
        if not isinstance(image, np.ndarray) and hasattr(image, "read"):
            with _open(image) as opened:
                _check_format(opened)
                return _decode(opened, height, width, fit)
        return _decode(_from_pixels(image), height, width, fit)


def crop_image(
    content: bytes,
    draw: Callable[[int, int], Box],
    *,
    height: int,
    width: int,
    fit: Fit = DEFAULT_FIT,
    name: str = "image",
) -> np.ndarray:
    """Cut a piece out of an encoded image, upright as `read_image` reads it, and resize the piece.

    A JPEG is decoded at a fraction of its size where the piece then still has twice the size of the result.

    Args:
        content: Content of a file that `read_image` reads.
        draw: Called with height and width of the whole image in pixels; returns the piece.
        height: Height of the result in pixels.
        width: Width of the result in pixels.
        fit: Its resampling and value range are used.
        name: Name of the image, for errors.

    Returns:
        RGB uint8 ``(height, width, 3)``, 0..255.

    Raises:
        ValueError: As `read_image`.
    """
    with _reading(name), _quiet, _open(io.BytesIO(content)) as image:
        _check_format(image)
        stored = image.size
        # the EXIF of a PNG may come after its pixels: whether it is turned is known when it is decoded
        decoded = _upright(image, stored, fit) if image.format == "PNG" else None
        if decoded is not None:
            across, down = decoded.size
        else:
            across, down = stored[::-1] if _is_turned(image) else stored
        left, top, right, bottom = draw(down, across)
        scale = min((right - left) / (2 * width), (bottom - top) / (2 * height))
        upright = decoded or _upright(image, (math.ceil(stored[0] / scale), math.ceil(stored[1] / scale)), fit)
        fraction = 2 ** round(math.log2(max(upright.size) / max(stored)))  # 1 to 1/8; the last column may show less
        box = round(left * fraction), round(top * fraction), round(right * fraction), round(bottom * fraction)
        whole_piece = replace(fit, mode="stretch", crop_ratio=1.0, pad_color=BORDER)
        return fit_pixels(upright.crop(box), (width, height), whole_piece)


def read_header(path: str | os.PathLike[str]) -> Header:
    """Read the properties of an image file; its pixels are not decoded and may be damaged.

    Args:
        path: JPEG, PNG, WebP, BMP, GIF, TIFF, PPM, PGM, PBM or, where Pillow has it, AVIF, whatever its suffix.

    Returns:
        Size, pixel format and file format.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file does not begin like such an image, or has more pixels than `read_image` accepts.
    """
    with _opened(path) as image:
        orientation = _orientation(image)
        width, height = image.size[::-1] if _is_turned(image) else image.size
        oriented, mode, deep = orientation in _TURNS, image.mode, is_deep(image)
        return Header(width, height, mode, image.format or "", oriented, deep, _has_more_frames(image))


def _has_more_frames(image: Image.Image) -> bool:
    try:
        return image.format != "MPO" and bool(getattr(image, "is_animated", False))
    except Exception:  # damage after the first frame
        return False


def has_pixels_not_finite(path: str | os.PathLike[str]) -> bool:
    """Return whether a floating-point image has pixels that are NaN or infinite; False if it cannot be read."""
    try:
        with _opened(path) as image:
            return image.mode == "F" and not np.isfinite(np.asarray(image)).all()
    except (OSError, ValueError):
        return False


def measure_value_range(paths: Sequence[str | os.PathLike[str]]) -> tuple[float, float] | None:
    """Measure the range of values of the images of a source that have more than 8 bits.

    At most 200 are decoded, evenly spread over the source. Files that cannot be read do not count.

    Args:
        paths: All images of the source with more than 8 bits (`Header.deep`).

    Returns:
        The values that become black and white (`resnet50.data.value_range.measure_range`); None without such images.
    """
    chosen = [paths[index] for index in np.linspace(0, len(paths) - 1, min(_SAMPLE, len(paths))).astype(int)]
    return measure_range([sample for sample in in_order(_sample, chosen) if sample is not None])


def _sample(path: str | os.PathLike[str]) -> Sample | None:
    try:
        with _opened(path) as image:
            return sample_values(image) if is_deep(image) else None
    except (OSError, ValueError):
        return None


def _decode(image: Image.Image, height: int, width: int, fit: Fit) -> np.ndarray:
    enough = decoded_size((width, height), fit)
    return fit_pixels(_upright(image, (enough, enough), fit), (width, height), fit)


def _upright(image: Image.Image, enough: tuple[int, int], fit: Fit) -> Image.Image:
    """Decode an opened image, and turn it as its EXIF orientation says; ``enough`` is a width and height to decode."""
    _check_scans(image)
    _check_checksums(image)
    deep = read_deep_color(image, fit.value_range) if is_deep_color(image) else None
    image.draft("RGB", enough)  # a JPEG can be decoded at a fraction of its size
    image.load()
    turn = _TURNS.get(_orientation(image))
    decoded = deep or image
    return decoded if turn is None else decoded.transpose(turn)


def _is_turned(image: Image.Image) -> bool:
    """Return whether width and height are exchanged in the upright image; Pillow has done it already in a TIFF."""
    return image.format != "TIFF" and _orientation(image) in _QUARTER_TURNS


def _from_pixels(pixels: object) -> Image.Image:
    if not hasattr(pixels, "__array__"):
        raise ValueError(f"expected a path, bytes, a file, a Pillow image or pixels, got {type(pixels).__name__}")
    array = np.asarray(pixels)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if not array.size or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))):
        raise ValueError(f"expected (height, width), (height, width, 3) or (height, width, 4), got {array.shape}")
    if array.dtype != np.uint8:
        if array.dtype.kind not in "iuf":
            raise ValueError(f"expected numbers from 0 to 255, got {array.dtype}; convert them to uint8")
        lowest, highest = array.min(), array.max()
        if not (lowest >= 0 and highest <= 255):  # NaN compares false
            raise ValueError(f"expected numbers from 0 to 255, got {array.dtype} from {lowest:g} to {highest:g}")
        if array.dtype.kind == "f" and 0 < highest <= 1:  # it would pass for an image that is all black
            raise ValueError(f"expected numbers from 0 to 255, got none above {highest:g}; multiply them by 255")
        array = np.rint(array).astype(np.uint8)
    image = Image.fromarray(np.ascontiguousarray(array))
    _check_size(image)
    return image


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[Image.Image]:
    """Open an image that is not too large, and turn all errors in the block into one type."""
    path = Path(path)
    with _reading(path):
        if not path.is_file():  # reading a pipe would never end
            raise FileNotFoundError(f"{as_given(path)}: expected an image file, got {describe_path(path)}.")
        with path.open("rb") as file, _quiet, _open(file) as image:
            _check_format(image)
            yield image


def _open(file: BinaryIO) -> Image.Image:
    try:
        return Image.open(file, formats=_FORMATS)
    except Image.UnidentifiedImageError as error:
        raise Image.UnidentifiedImageError(describe_start(_start_of(file))) from error


def _start_of(file: BinaryIO) -> bytes:
    try:
        file.seek(0)
        return file.read(512)
    except OSError:  # a stream that does not go back
        return b"?"


@contextmanager
def _reading(name: str | Path) -> Iterator[None]:
    """Turn every error with an image into a ValueError of one line."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (MemoryError, OSError) as error:
        # the system's errors have a number, those of Pillow for damaged files have none
        temporary = isinstance(error, MemoryError) or error.errno not in _LASTING
        kind = TemporaryError if temporary else ValueError
        raise kind(f"{name}: cannot be read as an image ({_reason(error)}).") from error
    # Pillow's readers raise many types for damaged files: SyntaxError, struct.error, KeyError ...
    except Exception as error:
        raise ValueError(f"{name}: cannot be read as an image ({_reason(error)}).") from error


def _check_format(image: Image.Image) -> None:
    _check_size(image)
    if image.format == "TIFF":
        _silence_libtiff()
    if image.format == "PPM" and image.mode == "RGB":
        layouts = [tile[3] for tile in getattr(image, "tile", ())]  # with the largest value, unless it is usual
        if any(isinstance(layout, tuple) and layout[-1] > 255 for layout in layouts):
            raise ValueError("it has more than 8 bits a channel, which are read from PNG and TIFF; convert it")


def _reason(error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombError):  # Pillow's own limit, above ours
        return f"it has more than {_MAX_JPEG_PIXELS:,} pixels"
    return " ".join(str(error).split()) or type(error).__name__


def _check_size(image: Image.Image) -> None:
    limit = _MAX_JPEG_PIXELS if image.format in ("JPEG", "MPO") else _MAX_PIXELS
    if image.width * image.height > limit:
        raise ValueError(f"it has {image.width} x {image.height} pixels, more than {limit:,}")
    tags = getattr(image, "tag_v2", {})  # a TIFF's tiles are decoded whole and may be larger than the image
    tile = tags.get(TiffImagePlugin.TILEWIDTH, 0), tags.get(TiffImagePlugin.TILELENGTH, 0)
    if tile[0] * tile[1] > limit:
        raise ValueError(f"it has a tile of {tile[0]} x {tile[1]} pixels, more than {limit:,}")


def _check_scans(image: Image.Image) -> None:
    file = getattr(image, "fp", None)
    if file is not None and image.info.get("progressive"):
        # the JPEG reader is in the first scan by now, past any small image in the EXIF
        scans = 1 + sum(chunk.count(b"\xff\xda") for chunk in iter(lambda: file.read(1 << 20), b""))
        if scans > _MAX_SCANS:
            raise ValueError(f"it has {scans} scans, more than {_MAX_SCANS}")


def _check_checksums(image: Image.Image) -> None:
    """Compare the checksum of each chunk of a PNG; Pillow skips those of the pixels."""
    file = getattr(image, "fp", None)
    if file is None or image.format != "PNG":
        return
    place = file.tell()
    file.seek(len(_PNG_START))
    while len(head := file.read(8)) == 8:
        kind, left = head[4:], int.from_bytes(head[:4], "big")
        checksum = zlib.crc32(kind)
        while left and (part := file.read(min(left, 1 << 20))):
            checksum, left = zlib.crc32(part, checksum), left - len(part)
        if left or file.read(4) != checksum.to_bytes(4, "big"):
            raise ValueError(f"it is damaged: its part {kind.decode('ascii', 'backslashreplace')} has another checksum")
        if kind == b"IEND":
            break
    file.seek(place)


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation; 2..8 are rotated or mirrored, and any other number, or none, is upright."""
    try:
        # not the PNG reader's own method, which decodes the pixels to find the metadata after them
        orientation = Image.Image.getexif(image).get(_ORIENTATION)
    except Exception:  # damaged metadata with intact pixels
        return 1
    return orientation if isinstance(orientation, int) else 1


class _Quiet:
    """Ignore warnings in a block, in several threads at a time: the last to leave restores them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._caught = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._caught = warnings.catch_warnings()
                self._caught.__enter__()
                warnings.simplefilter("ignore")  # damaged metadata with intact pixels; serious damage raises
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._caught.__exit__(None, None, None)


_quiet = _Quiet()


@cache
def _silence_libtiff() -> None:
    """Stop libtiff from printing hundreds of lines for a damaged file; Pillow raises an error for serious damage."""
    try:
        library = ctypes.CDLL(_imaging.__file__)
    except OSError:  # Windows may not load it a second time; the lines do no harm
        return
    for name in ("TIFFSetWarningHandler", "TIFFSetErrorHandler"):
        handler = getattr(library, name, None)  # None where Pillow hides its libtiff, as on Windows
        if handler is not None:
            handler.argtypes, handler.restype = [ctypes.c_void_p], ctypes.c_void_p
            handler(None)
