"""Grad-CAM: heat maps over an image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from PIL import Image

from resnet50.plots import fonts, theme

SIDE, GAP, MARGIN, CAPTION = 3.2, 0.18, 0.2, 0.5
"""Inches: the longer side of an image, and the space around it."""

LONGEST = 32
"""Most characters of a class name."""


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
    colors = 255 * colormaps["inferno"](strength[..., 0])[..., :3]
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


def draw_explanation(
    image: np.ndarray, heats: np.ndarray, names: Sequence[str], probabilities: Sequence[float]
) -> Figure:
    """Draw an image, and beside it a heat map of the evidence for each of some classes.

    Args:
        image: RGB uint8 ``(height, width, 3)``, 0..255.
        heats: Map of each class, 0..1, ``(k, h, w)``, such as `resnet50.metrics.grad_cam.grad_cam` returns.
        names: The ``k`` classes.
        probabilities: Predicted probability of each, 0..1.

    Returns:
        Figure with ``k + 1`` images in a row.

    Raises:
        ValueError: If there is not one map, name and probability for each class.
    """
    if not len(heats) == len(names) == len(probabilities):
        raise ValueError(
            f"expected a map, a name and a probability for each class, got {len(heats)}, {len(names)} and "
            f"{len(probabilities)}."
        )
    panels = [(image, "Input image", "")]
    for heat, name, probability in zip(heats, names, probabilities, strict=True):
        share = f"{probability:.1%}" if heat.any() else f"{probability:.1%}, no evidence for it"
        panels.append((overlay(image, heat), fonts.shortened(name, LONGEST), share))
    rows, columns = image.shape[:2]
    wide, high = SIDE * columns / max(rows, columns), SIDE * rows / max(rows, columns)
    steps = [max(wide, *(theme.text_width(text, theme.NORMAL) for text in texts)) + GAP for _, *texts in panels]
    figure, axes = theme.new_canvas(2 * MARGIN + sum(steps) - GAP, 2 * MARGIN + high + CAPTION)
    x, top = MARGIN, MARGIN + high
    for step, (pixels, name, share) in zip(steps, panels, strict=True):
        theme.draw_image(axes, pixels, (x, MARGIN), (wide, high))
        theme.write(axes, x, top + 0.4, name, ha="left")
        theme.write(axes, x, top + 0.15, share, ha="left", color=theme.MUTED)
        x += step
    return figure
