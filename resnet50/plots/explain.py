"""Grad-CAM: an image, and the evidence for some classes beside it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from resnet50.plots import fonts, theme
from resnet50.plots.heat import overlay

SIDE, GAP, MARGIN, CAPTION = 3.2, 0.18, 0.2, 0.5
"""Inches: the longer side of an image, and the space around it."""

LONGEST = 32
"""Most characters of a class name."""


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
