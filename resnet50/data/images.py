"""Decode one image file to pixels, or raise an error that says what is wrong with it."""

from __future__ import annotations

import ctypes
import errno
import io
import logging
import os
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, TiffImagePlugin, _imaging

SUFFIXES = (".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
"""Suffixes of the files in a folder that count as images."""

ImageLike = str | os.PathLike[str] | bytes | BinaryIO | Image.Image | np.ndarray
"""What `fit_image` takes: the path of an image file, its bytes, an open binary file, a Pillow image, or pixels."""

_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")  # Pillow reads MPO, which some phones write, as a JPEG
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

_RANGES = (1, 255, 4095, 65535)  # largest value of a mask or a share, and of 8, 12 and 16 bits

_LASTING = (None, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOTDIR)  # errors with a file itself

# otherwise Python prints Pillow's errors, which are raised too
logging.getLogger("PIL").addHandler(logging.NullHandler())


@dataclass(frozen=True)
class Header:
    """The properties of an image file that are known before any pixel is decoded.

    Attributes:
        width: In pixels, of the upright image.
        height: In pixels, of the upright image.
        mode: Pillow's name of the pixel format, such as ``"RGB"``, ``"L"`` (gray), ``"P"`` (palette), ``"CMYK"``.
        format: Pillow's name of the file format, such as ``"JPEG"``.
        oriented: Whether the file stores the image rotated or mirrored, as its EXIF orientation declares.
    """

    width: int
    height: int
    mode: str
    format: str
    oriented: bool


class TemporaryError(ValueError):
    """A file was not read for a reason that may not lie in it: a disk, a network, or too little memory."""


def read_image(path: str | os.PathLike[str], *, height: int, width: int) -> np.ndarray:
    """Read an image as RGB: apply its EXIF orientation, crop its center to the given aspect ratio, and resize it.

    Gray becomes three equal channels, transparent pixels become white, and of an animation the first frame is used.
    Color profiles are not applied. Values of more than 8 bits and floats are scaled from the smallest usual range that
    holds the whole image: 0..1, 0..255, 0..4095, 0..65535 or 0 to the image's largest value.

    A truncated file is refused, even if a part of the image could be decoded. Damage that a decoder does not report,
    as in the middle of a JPEG, cannot be detected.

    Args:
        path: JPEG, PNG, WebP, BMP, GIF or TIFF, whatever its suffix.
        height: Height of the result in pixels.
        width: Width of the result in pixels.

    Returns:
        RGB uint8 ``(height, width, 3)``, 0..255.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is not such an image, is damaged, or has more than 60 million pixels (a JPEG: 120).
    """
    with _opened(path) as image:
        return _decode(image, height, width)


def fit_image(image: ImageLike, *, height: int, width: int, name: str = "image") -> np.ndarray:
    """Fit an image from anywhere to a size, exactly as `read_image` fits a file.

    Args:
        image: Path, encoded bytes or open binary file of an image that `read_image` reads; a Pillow image; or pixels:
            ``(height, width)`` gray, ``(height, width, 3)`` RGB or ``(height, width, 4)`` RGB with opacity, 0..255,
            integers or floats, which are rounded. It is not changed.
        height: Height of the result in pixels.
        width: Width of the result in pixels.
        name: Name of an image that has no path, for errors.

    Returns:
        RGB uint8 ``(height, width, 3)``, 0..255. A Pillow image of a JPEG file can differ by rounding from the file,
        which `read_image` decodes at a fraction of its size.

    Raises:
        FileNotFoundError: If there is no file at the path.
        ValueError: If the image cannot be read, or has more pixels than `read_image` takes.
    """
    if isinstance(image, str | os.PathLike):
        return read_image(image, height=height, width=width)
    with _reading(name), _quiet:
        if isinstance(image, Image.Image):
            _check_format(image)
            _check_scans(image)
            return _decode(image.copy(), height, width)  # of a copy, since decoding may shrink a JPEG
        if isinstance(image, bytes | bytearray | memoryview):
            image = io.BytesIO(image)
        if not isinstance(image, np.ndarray) and hasattr(image, "read"):
            with Image.open(image, formats=_FORMATS) as opened:
                _check_format(opened)
                return _decode(opened, height, width)
        return _decode(_from_pixels(image), height, width)


def read_header(path: str | os.PathLike[str]) -> Header:
    """Read the properties of an image file; its pixels are not decoded and may be damaged.

    Args:
        path: JPEG, PNG, WebP, BMP, GIF or TIFF, whatever its suffix.

    Returns:
        Size, pixel format and file format.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file does not begin like such an image, or has more pixels than `read_image` accepts.
    """
    with _opened(path) as image:
        orientation = _orientation(image)
        turned = (
            orientation in _QUARTER_TURNS and image.format != "TIFF"
        )  # Pillow has exchanged a TIFF's width and height already
        width, height = image.size[::-1] if turned else image.size
        return Header(width, height, image.mode, image.format or "", orientation in _TURNS)


def _decode(image: Image.Image, height: int, width: int) -> np.ndarray:
    _check_scans(image)
    _check_checksums(image)
    # a JPEG can be decoded at a fraction of its size; twice the result's leaves the resizing exact enough
    enough = 2 * max(width, height)  # for height and width, since EXIF may exchange them
    image.draft("RGB", (enough, enough))
    image.load()
    turn = _TURNS.get(_orientation(image))
    upright = image if turn is None else image.transpose(turn)
    return np.array(_rgb(upright, (width, height)))  # a copy that can be written to


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
            actual = (
                "a folder" if path.is_dir() else "a special file" if path.exists() else "a path that does not exist"
            )
            raise FileNotFoundError(f"{path}: expected an image file, got {actual}.")
        with _quiet, Image.open(path, formats=_FORMATS) as image:
            _check_format(image)
            yield image


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


def _reason(error: Exception) -> str:
    if isinstance(error, Image.UnidentifiedImageError):
        return "not an image in a supported format"
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


def _rgb(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Crop and resize to (width, height) first, so that the conversion to RGB has fewer pixels to process."""
    if image.mode.startswith("I") or image.mode == "F":  # 16 or 32 bits
        deep = image.convert("I") if image.mode.startswith("I;") else image
        most = float(np.max(deep.getextrema()))
        top = next((top for top in _RANGES if most <= top), most)
        values = np.nan_to_num(np.asarray(_fit(deep, size), dtype=np.float64) * (255 / top))
        return Image.fromarray(np.rint(values.clip(0, 255)).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        small = _fit(image if image.mode in ("LA", "RGBA") else image.convert("RGBA"), size).convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", size, "white"), small).convert("RGB")
    if image.mode not in ("L", "RGB"):
        image = image.convert("RGB")
    return _fit(image, size).convert("RGB")


def _fit(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return ImageOps.fit(image, size, Image.Resampling.BICUBIC)


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
    library = ctypes.CDLL(_imaging.__file__)
    for name in ("TIFFSetWarningHandler", "TIFFSetErrorHandler"):
        handler = getattr(library, name, None)  # None where Pillow hides its libtiff, as on Windows
        if handler is not None:
            handler.argtypes, handler.restype = [ctypes.c_void_p], ctypes.c_void_p
            handler(None)
