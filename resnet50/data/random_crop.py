"""Random-resized crops: a random piece of a training image, resized to the size that the network is trained at."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from resnet50.data.encoded_image import EncodedImage
from resnet50.data.images import Box

ASPECT = (3 / 4, 4 / 3)
"""Width of a piece over its height, from and to; its logarithm is drawn uniformly."""

_ATTEMPTS = 10


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

    def crop(self, image: np.ndarray | EncodedImage, draw: Callable[[int, int], Box]) -> np.ndarray:
        """Cut a piece out of an image, and resize it.

        The piece of an image file is cut out of the whole image where its fit is a center crop. The other fits show the
        whole image already, and the piece is cut out of what they show.

        Args:
            image: RGB uint8 ``(height, width, 3)``, not changed; or an image file.
            draw: Called with the image's height and width in pixels; returns the piece.

        Returns:
            RGB uint8 of this size.

        Raises:
            ValueError: If the file cannot be read.
        """
        if isinstance(image, EncodedImage):
            if image.fit.mode == "crop":
                return image.crop(draw, self.height, self.width)
            image = image.decode(image.size, image.size)
        return self.apply(image, draw(*image.shape[:2]))

    def apply(self, image: np.ndarray | EncodedImage, box: Box | None = None) -> np.ndarray:
        """Resize an image, or the piece in a box of it, with antialiasing.

        Args:
            image: RGB uint8 ``(height, width, 3)``, not changed; or an image file, of which the whole is fitted.
            box: Left, top, right and bottom in pixels; None for the whole image.

        Returns:
            RGB uint8 of this size. The image itself where there is nothing to do.

        Raises:
            ValueError: If the file cannot be read.
        """
        if isinstance(image, EncodedImage):
            return image.decode(self.height, self.width)
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
