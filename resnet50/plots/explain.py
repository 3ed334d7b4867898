"""Grad-CAM: an image, and the evidence for some classes beside it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from resnet50.plots import fonts, theme
from resnet50.plots.heat import overlay

SIDE, GAP, MARGIN, CAPTION, NOTE = 3.2, 0.18, 0.2, 0.5, 0.25
"""Inches: the longer side of an image, and the space around it."""

LONGEST = 32
"""Most characters of a class name."""


def draw_explanation(
    image: np.ndarray, heats: np.ndarray, names: Sequence[str], probabilities: Sequence[float], *, note: str = ""
) -> Figure:
    """Draw an image, and beside it a heat map of the evidence for each of some classes.

    Args:
        image: RGB uint8 ``(height, width, 3)``, 0..255.
        heats: Map of each class, 0..1, ``(k, h, w)``, such as `resnet50.metrics.grad_cam.grad_cam` returns.
        names: The ``k`` classes.
        probabilities: Predicted probability of each, 0..1.
        note: What the maps are and how coarse, to write below them.

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
    width = max(sum(steps) - GAP, theme.text_width(note, theme.SMALL))
    bottom = MARGIN + (NOTE if note else 0)
    figure, axes = theme.new_canvas(2 * MARGIN + width, bottom + high + CAPTION + MARGIN)
    if note:
        theme.write(axes, MARGIN, MARGIN, note, size=theme.SMALL, ha="left", color=theme.MUTED)
    x, top = MARGIN, bottom + high
    for step, (pixels, name, share) in zip(steps, panels, strict=True):
        theme.draw_image(axes, pixels, (x, bottom), (wide, high))
        theme.write(axes, x, top + 0.4, name, ha="left")
        theme.write(axes, x, top + 0.15, share, ha="left", color=theme.MUTED)
        x += step
    return figure
