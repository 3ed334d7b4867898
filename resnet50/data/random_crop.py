"""Random-resized crops: a random piece of a training image, resized to the size that the network is trained at."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

ASPECT = (3 / 4, 4 / 3)
"""Width of a piece over its height, from and to; its logarithm is drawn uniformly."""

_ATTEMPTS = 10

Box = tuple[int, int, int, int]  # left, top, right, bottom


@dataclass(frozen=True)
class Resize:
    """The size that training images get, and how their pixels are computed.

    Attributes:
        height: In pixels.
        width: In pixels.
        resampling: One of `resnet50.data.fit.RESAMPLING`.
    """

    height: int
    width: int
    resampling: str = "bicubic"

    def apply(self, image: np.ndarray, box: Box | None = None) -> np.ndarray:
        """Resize an image, or the piece in a box of it, with antialiasing.

        Args:
            image: RGB uint8 ``(height, width, 3)``; not changed.
            box: Left, top, right and bottom in pixels; None for the whole image.

        Returns:
            RGB uint8 of this size. The image itself where there is nothing to do.
        """
        if box is not None:  # cut out first: Pillow's own box would mix in pixels around it
            left, top, right, bottom = box
            image = image[top:bottom, left:right]
        if image.shape[:2] == (self.height, self.width):
            return image
        how = Image.Resampling[self.resampling.upper()]
        return np.asarray(Image.fromarray(image).resize((self.width, self.height), how))


def draw_box(height: int, width: int, least_area: float, generator: np.random.Generator) -> Box:
    """Draw the piece of an image that a random-resized crop shows.

    Its share of the area is uniform from ``least_area`` to 1. A piece that does not fit into the image is drawn again,
    ten times at most; then it is the largest centered piece with the nearest aspect ratio.

    Args:
        height: Of the image, in pixels.
        width: Of the image, in pixels.
        least_area: Smallest share of the area, above 0 and at most 1.
        generator: Determines the piece.

    Returns:
        Left, top, right and bottom in whole pixels.

    Source: Szegedy et al. 2014, arXiv:1409.4842, section 6, as torchvision and timm have it.
    """
    for _ in range(_ATTEMPTS):
        area = height * width * generator.uniform(least_area, 1)
        aspect = math.exp(generator.uniform(math.log(ASPECT[0]), math.log(ASPECT[1])))
        wide, high = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < wide <= width and 0 < high <= height:
            left, top = (int(generator.integers(most + 1)) for most in (width - wide, height - high))
            return left, top, left + wide, top + high
    wide, high = min(width, round(height * ASPECT[1])), min(height, round(width / ASPECT[0]))
    left, top = (width - wide) // 2, (height - high) // 2
    return left, top, left + wide, top + high
