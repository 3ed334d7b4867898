"""One picture from a file to pixels, or an error that says what is wrong with it."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
"""Names under which a folder's files count as pictures."""

_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "MPO")  # MPO: what some phones call a JPEG
_MAX_PIXELS = 120_000_000  # 480 MB once decoded with four channels; large phones make 108 million


def read_image(path: str | os.PathLike[str], *, height: int, width: int) -> np.ndarray:
    """Read a picture: turned as its EXIF says, as RGB, its middle cut to the wanted shape and resized.

    Args:
        path: JPEG, PNG, WebP, BMP, GIF (first frame) or TIFF.
        height: Wanted height in pixels.
        width: Wanted width in pixels.

    Returns:
        RGB uint8 ``(height, width, 3)``, 0..255; what is transparent becomes white.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is no such picture, is damaged, or has more than 120 million pixels.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: needed a picture, found {'a folder' if path.is_dir() else 'nothing there'}.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # damaged metadata beside sound pixels; what matters raises
            with Image.open(path, formats=_FORMATS) as image:
                if image.width * image.height > _MAX_PIXELS:
                    raise ValueError(f"it has {image.width} x {image.height} pixels, more than {_MAX_PIXELS:,}")
                # a JPEG can be decoded at a fraction of its size; twice what is needed leaves the resizing exact enough
                image.draft("RGB", (2 * width, 2 * height))
                upright = ImageOps.exif_transpose(image)
            return np.asarray(ImageOps.fit(_rgb(upright), (width, height), Image.Resampling.BICUBIC))
    # Pillow's readers raise many kinds for damaged files: OSError, SyntaxError, struct.error, MemoryError, KeyError ...
    except Exception as error:
        reason = "no picture in a format that is read here" if isinstance(error, Image.UnidentifiedImageError) else error
        raise ValueError(f"{path}: cannot be read as a picture ({' '.join(str(reason).split())}).") from error


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":  # 16 or 32 bits: the usual range is 0..65535
        values = np.asarray(image, dtype=np.float64)
        image = Image.fromarray((values / max(256.0, values.max() / 255)).clip(0, 255).astype(np.uint8))
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")
