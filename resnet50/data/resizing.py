"""Fit a decoded image to a size, as a `Fit` says."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from resnet50.data.fit import BORDER, Fit
from resnet50.data.value_range import is_deep_gray, to_8_bits

Size = tuple[int, int]  # width and height in pixels


def fit_pixels(image: Image.Image, size: Size, fit: Fit) -> np.ndarray:
    """Fit an upright image to a size.

    The image is cropped and resized before it becomes RGB, so that the conversion has fewer pixels to process. Gray
    becomes three equal channels, and transparent pixels become white.

    Args:
        image: Decoded image of any mode.
        size: Width and height of the result in pixels.
        fit: How it is fitted.

    Returns:
        RGB uint8 ``(height, width, 3)``, 0..255; a copy that can be written to.

    Raises:
        ValueError: If the image has gray values of more than 8 bits and the fit has no value range, or too many of its
            pixels are not finite.
    """
    if is_deep_gray(image):
        image = to_8_bits(image, fit.value_range)
    if image.has_transparency_data:
        image = image if image.mode in ("LA", "RGBA") else image.convert("RGBA")
    elif image.mode not in ("L", "RGB"):
        image = image.convert("RGB")
    inside = _inside(image.size, size) if fit.mode == "pad" else size
    box = _crop(image.size, size, fit.crop_ratio) if fit.mode == "crop" else None
    fitted = _opaque(image.resize(inside, Image.Resampling[fit.resampling.upper()], box))
    return np.array(fitted if inside == size else _pad(fitted, size, fit.pad_color))


def decoded_size(size: Size, fit: Fit) -> int:
    """Return the height and width from which on an image can be decoded smaller than it is, without a loss.

    Args:
        size: Width and height of the result in pixels; EXIF may exchange those of the image.
        fit: How the image is fitted.
    """
    return math.ceil(2 * max(size) / fit.crop_ratio)


def _inside(image: Size, size: Size) -> Size:
    """Return the size of a whole image within the result."""
    scale = min(size[0] / image[0], size[1] / image[1])
    return max(1, round(image[0] * scale)), max(1, round(image[1] * scale))


def _crop(image: Size, size: Size, ratio: float) -> tuple[float, float, float, float]:
    """Return the centered box (left, top, right, bottom) of an image that has the shape of the result."""
    scale = min(image[0] / size[0], image[1] / size[1]) * ratio
    width, height = min(size[0] * scale, image[0]), min(size[1] * scale, image[1])  # rounding may exceed it
    left, top = (image[0] - width) / 2, (image[1] - height) / 2
    return left, top, left + width, top + height


def _pad(image: Image.Image, size: Size, color: str) -> Image.Image:
    """Center an image on a canvas."""
    canvas = Image.new("RGB", size, _border_color(image) if color == BORDER else color)
    canvas.paste(image, ((size[0] - image.width) // 2, (size[1] - image.height) // 2))
    return canvas


def _opaque(image: Image.Image) -> Image.Image:
    """Return an image as RGB, on white where it is transparent."""
    if image.mode in ("LA", "RGBA"):
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return image.convert("RGB")


def _border_color(image: Image.Image) -> tuple[int, int, int]:
    pixels = np.asarray(image)
    ring = np.concatenate([pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]])
    red, green, blue = np.rint(ring.mean(axis=0)).astype(int).tolist()
    return red, green, blue
