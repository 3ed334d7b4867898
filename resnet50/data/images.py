"""One picture from a file to pixels, or an error that says what is wrong with it."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
"""Names under which a folder's files count as pictures."""

_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")  # Pillow reads MPO, which some phones write, as a JPEG
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
    try:
        if not path.is_file():  # a pipe would be waited for
            found = "a folder" if path.is_dir() else "no ordinary file" if path.exists() else "nothing there"
            raise FileNotFoundError(f"{path}: needed a picture, found {found}.")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # damaged metadata beside sound pixels; what matters raises
            with Image.open(path, formats=_FORMATS) as image:
                if image.width * image.height > _MAX_PIXELS:
                    raise ValueError(f"it has {image.width} x {image.height} pixels, more than {_MAX_PIXELS:,}")
                # a JPEG can be decoded at a fraction of its size; twice what is needed leaves the resizing exact enough
                enough = 2 * max(width, height)  # for both sides, since EXIF may exchange them
                image.draft("RGB", (enough, enough))
                ImageOps.exif_transpose(image, in_place=True)
                return np.array(_rgb(image, (width, height)))  # a copy of its own, that can be written to
    except FileNotFoundError:
        raise
    except Image.UnidentifiedImageError as error:
        raise ValueError(f"{path}: cannot be read as a picture (no picture in a format that is read here).") from error
    # Pillow's readers raise many kinds for damaged files: OSError, SyntaxError, struct.error, MemoryError, KeyError ...
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path}: cannot be read as a picture ({reason}).") from error


def _rgb(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Cut and resize to (width, height) first, what is left to do on fewer pixels then."""
    if image.mode.startswith("I") or image.mode == "F":  # 16 or 32 bits: the usual range is 0..65535
        deep = image.convert("I") if image.mode.startswith("I;") else image
        values = np.asarray(_fit(deep, size), dtype=np.float64)
        return Image.fromarray((values / max(256.0, values.max() / 255)).clip(0, 255).astype(np.uint8)).convert("RGB")
    if "A" in image.getbands() or "transparency" in image.info:
        small = _fit(image.convert("RGBA"), size)
        return Image.alpha_composite(Image.new("RGBA", size, "white"), small).convert("RGB")
    return _fit(image.convert("RGB"), size)


def _fit(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return ImageOps.fit(image, size, Image.Resampling.BICUBIC)
