"""Heat over an image, as pixels. Needs no matplotlib."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

# matplotlib's inferno at eighths of its range: the small installation has no matplotlib
_COLORS = (
    (0, 0, 4), (40, 11, 84), (101, 21, 110), (159, 42, 99), (212, 72, 66), (245, 125, 21), (250, 193, 39),
    (252, 255, 164),
)  # fmt: skip
_PLACES = np.linspace(0, 1, len(_COLORS))


def overlay(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Color an image by heat: dim gray without heat, then violet, red and yellow.

    The image is converted to gray, so that a red object is not mistaken for heat.

    Args:
        image: RGB uint8 ``(height, width, 3)``, 0..255.
        heat: float, 0..1, ``(h, w)``; enlarged to the image (bilinear) if it is smaller.

    Returns:
        RGB uint8 ``(height, width, 3)``, 0..255.

    Raises:
        ValueError: If the image is not uint8 RGB, or the heat is not a map of 0..1.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] != 3:
        raise ValueError(f"expected an image uint8 (height, width, 3), got {image.dtype} {image.shape}.")
    if heat.ndim != 2 or not (heat.min() >= 0 and heat.max() <= 1):
        raise ValueError(f"expected a heat map (h, w) of 0..1, got {heat.shape}, {heat.min():g}..{heat.max():g}.")
    height, width = image.shape[:2]
    fitted = Image.fromarray(heat.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR)
    strength = np.asarray(fitted)[..., None]  # (height, width, 1)
    gray = np.asarray(Image.fromarray(image).convert("L"))[..., None]
    colors = np.stack([np.interp(strength[..., 0], _PLACES, channel) for channel in np.transpose(_COLORS)], axis=-1)
    share = 0.4 + 0.3 * strength
    return np.rint((1 - share) * gray + share * colors).clip(0, 255).astype(np.uint8)


def color_bar(width: int = 160, height: int = 10) -> np.ndarray:
    """Return the colors of `overlay` over an image of medium gray, from no heat on the left to full heat on the right.

    Args:
        width: Pixels.
        height: Pixels.

    Returns:
        RGB uint8 ``(height, width, 3)``, 0..255.
    """
    heat = np.tile(np.linspace(0, 1, width, dtype=np.float32), (height, 1))
    return overlay(np.full((height, width, 3), 128, np.uint8), heat)


def side_by_side(images: Sequence[np.ndarray], *, gap: int = 8) -> np.ndarray:
    """Return images of one height in a row, with white between them.

    Args:
        images: RGB uint8 ``(height, width, 3)``, at least one.
        gap: Pixels between two.

    Returns:
        RGB uint8 ``(height, total width, 3)``, 0..255.
    """
    between = np.full((len(images[0]), gap, 3), 255, np.uint8)
    parts = [part for image in images for part in (between, image)]
    return np.concatenate(parts[1:], axis=1)
