"""Images of more than 8 bits: one range of values for a whole source, measured or stated, and the scaling to 8 bits."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, TiffImagePlugin

MAX_NOT_FINITE = 0.5
"""Share of an image's pixels that may be NaN or infinite; an image with more is refused."""

_PIXELS = 20_000  # most values in the sample of an image
_QUANTILE = 0.001  # share of the pixels beyond each end of a measured range, such as hot pixels
_STEPS = (1, 255, 1023, 4095, 16383, 65535)  # largest value of a mask, and of 8, 10, 12, 14 and 16 bits
_FLOAT_STEPS = (1, 255)
_FAINT = 0.25  # share of a step below which the smallest value is, unless the range begins above zero

_TIFF_MIN, _TIFF_MAX = 280, 281  # tags MinSampleValue and MaxSampleValue
_PNG_CHUNKS = 8  # offset of the first chunk

_LOW_BYTES = {"RGB;16B": "RGB;16L", "RGB;16L": "RGB;16B", "RGBA;16B": "RGBA;16L", "RGBA;16L": "RGBA;16B"}
_OTHER = "B" if sys.byteorder == "little" else "L"  # byte order that is not this machine's
_LOW_BYTES |= {"RGB;16N": f"RGB;16{_OTHER}", "RGBA;16N": f"RGBA;16{_OTHER}"}
"""For each of Pillow's layouts of 16-bit colors, of which it reads the high bytes, one that reads the low bytes."""


def is_deep(image: Image.Image) -> bool:
    """Return whether an image has values of more than 8 bits: gray of 16 or 32 bits, or floats, or colors of 16 bits.

    Args:
        image: An image that is open, and not decoded.
    """
    return is_deep_gray(image) or is_deep_color(image)


def is_deep_gray(image: Image.Image) -> bool:
    """Return whether an image, decoded or not, has gray values of more than 8 bits."""
    return image.mode.startswith("I") or image.mode == "F"


def is_deep_color(image: Image.Image) -> bool:
    """Return whether an image that is not decoded has colors of 16 bits, of which Pillow would read 8."""
    return not is_deep_gray(image) and any(";16" in _layout(tile) for tile in getattr(image, "tile", ()))


def read_deep_color(image: Image.Image, value_range: tuple[float, float] | None) -> Image.Image:
    """Decode an image with colors of 16 bits.

    Args:
        image: An image for which `is_deep_color` holds; it stays open and is not decoded.
        value_range: The values that become 0 and 255.

    Returns:
        The image of 8 bits, mode ``"RGB"`` or ``"RGBA"``.

    Raises:
        ValueError: If there is no range, or Pillow cannot read the layout.
    """
    values = _colors(image)
    colors = _scaled(values[..., :3], value_range, "16 bits a channel")
    opacity = (values[..., 3:] >> 8).astype(np.uint8)
    return Image.fromarray(np.concatenate([colors, opacity], axis=-1))


def to_8_bits(image: Image.Image, value_range: tuple[float, float] | None) -> Image.Image:
    """Scale the gray values of a deep image to 0..255 and clip them.

    NaN and minus infinity become black, and infinity white.

    Args:
        image: An image for which `is_deep_gray` holds.
        value_range: The values that become 0 and 255.

    Returns:
        Gray image, mode ``"L"``.

    Raises:
        ValueError: If there is no range, or too many pixels are not finite (`MAX_NOT_FINITE`).
    """
    values = np.asarray(image)
    share = 1 - np.isfinite(values).mean()
    if share > MAX_NOT_FINITE:
        raise ValueError(f"{share:.0%} of its pixels are NaN or infinite, expected at most {MAX_NOT_FINITE:.0%}")
    return Image.fromarray(_scaled(values, value_range, f"more than 8 bits a pixel, mode {image.mode}"))


@dataclass(frozen=True, eq=False)
class Sample:
    """A sample of a deep image's values.

    Attributes:
        values: Finite values, at most 20,000.
        floats: Whether the file holds floats.
        stated: The range that the file states for itself; None if it does not.
    """

    values: np.ndarray
    floats: bool
    stated: tuple[float, float] | None


def sample_values(image: Image.Image) -> Sample:
    """Take a sample of a deep image, evenly spread over its pixels.

    Args:
        image: An image that is open, and not decoded, for which `is_deep` holds.
    """
    stated = _stated_range(image)  # before decoding, which closes the file
    colored = is_deep_color(image)
    values = (_colors(image)[..., :3] if colored else np.asarray(image)).reshape(-1)
    values = values[:: -(-values.size // _PIXELS)].astype(np.float64)
    return Sample(values[np.isfinite(values)], image.mode == "F", stated)


def measure_range(samples: Sequence[Sample]) -> tuple[float, float] | None:
    """Measure the range of values of a source.

    The files' own statement of their range comes first, where all agree and it holds 99.9 % of the pixels: a PNG may
    state 12 significant bits whose values its writer has scaled to 16, as the standard asks. Otherwise the range is 0
    to the smallest of 1, 255, 1023, 4095, 16383 and 65535 that holds 99.9 % of the pixels; 0 to 1 or 255 if they are
    floats. Where pixels are negative, larger, or all far from zero, both ends are measured.

    Args:
        samples: Samples of images all over the source.

    Returns:
        The values that become black and white; None without samples.
    """
    if not samples:
        return None
    stated = {sample.stated for sample in samples}
    (only,) = stated if len(stated) == 1 else (None,)
    values = np.concatenate([sample.values for sample in samples])
    if not values.size:
        return only or (0.0, 1.0)
    low, high = (float(each) for each in np.quantile(values, (_QUANTILE, 1 - _QUANTILE), method="nearest"))
    if only and only[0] <= low and high <= only[1]:
        return only
    return _range_of(low, high, _FLOAT_STEPS if any(sample.floats for sample in samples) else _STEPS)


def _range_of(low: float, high: float, steps: Sequence[int]) -> tuple[float, float]:
    step = next((step for step in steps if high <= step), None)
    if step is not None and 0 <= low <= _FAINT * step:
        return 0.0, float(step)
    return (low, high) if low < high else (low, low + 1)


def _scaled(values: np.ndarray, value_range: tuple[float, float] | None, depth: str) -> np.ndarray:
    """Scale values to 0..255, uint8."""
    if value_range is None:
        raise ValueError(
            f"it has {depth}, expected a value range that says what is black and white; a model that was trained on 8 "
            "bits has none: convert the image to 8 bits"
        )
    low, high = value_range
    scaled = np.empty(values.shape, np.float32)  # changed in place: an image may have 60 million pixels
    np.subtract(values, low, out=scaled, dtype=np.float64, casting="unsafe")  # float32 has 24 bits of 32
    scaled *= 255 / (high - low)
    np.nan_to_num(scaled, copy=False, nan=0, posinf=255, neginf=0)
    return np.rint(scaled.clip(0, 255, out=scaled), out=scaled).astype(np.uint8)


def _layout(tile: Any) -> str:
    """Return Pillow's name of the layout of a tile's pixels, such as ``"RGB;16B"``."""
    arguments = tile[3] if isinstance(tile[3], tuple) else (tile[3],)
    return next((each for each in arguments if isinstance(each, str)), "")


def _colors(image: Image.Image) -> np.ndarray:
    """Decode colors of 16 bits, uint16: Pillow reads the high bytes, and the low ones by another layout."""
    file = getattr(image, "fp", None)
    layouts = {_layout(tile) for tile in getattr(image, "tile", ())}
    if file is None or not layouts <= set(_LOW_BYTES):
        raise ValueError(f"it has 16 bits a channel in the layout {', '.join(layouts)}; convert it to 8 bits a channel")
    place = file.tell()
    file.seek(0)
    data = file.read()
    file.seek(place)
    high, low = (Image.open(io.BytesIO(data), formats=[str(image.format)]) for _ in range(2))
    low.tile = [tile._replace(args=_swapped(tile.args)) for tile in low.tile]
    return np.asarray(high).astype(np.uint16) << 8 | np.asarray(low)


def _stated_range(image: Image.Image) -> tuple[float, float] | None:
    """Return the range in a file's metadata, by TIFF's sample values or PNG's significant bits; None for 16 bits."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        low, high = (_first(image.tag_v2.get(tag, 0)) for tag in (_TIFF_MIN, _TIFF_MAX))
    else:
        low, high = 0.0, 2.0 ** _significant_bits(image) - 1
    return (low, high) if low < high < _STEPS[-1] else None


def _swapped(arguments: Any) -> Any:
    """Return a tile's arguments with the layout that reads the low bytes."""
    if isinstance(arguments, str):
        return _LOW_BYTES[arguments]
    return tuple(_LOW_BYTES.get(each, each) if isinstance(each, str) else each for each in arguments)


def _first(value: object) -> float:
    """Return the first of a tag's values, or 0 if it is no number."""
    value = value[0] if isinstance(value, tuple) and value else value
    return float(value) if isinstance(value, int | float) else 0.0


def _significant_bits(image: Image.Image) -> int:
    """Return the bits of a gray PNG's values that carry information, or 0 if the file does not say."""
    file = getattr(image, "fp", None)
    if file is None or image.format != "PNG":
        return 0
    place = file.tell()
    file.seek(_PNG_CHUNKS)
    bits = 0
    while len(head := file.read(8)) == 8 and head[4:] not in (b"IDAT", b"IEND"):
        length = int.from_bytes(head[:4], "big")
        if head[4:] == b"sBIT" and length == 1:
            bits = file.read(1)[0]
            break
        file.seek(length + 4, 1)
    file.seek(place)
    return bits
