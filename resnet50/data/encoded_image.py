"""An image file that is not decoded yet, so that a piece of the whole image can still be cut out of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from resnet50.data.fit import Fit
from resnet50.data.images import Box, crop_image, fit_image


@dataclass(frozen=True)
class EncodedImage:
    """The content of an image file, and what it is to become.

    Attributes:
        content: Content of the file.
        size: Height and width in pixels that it is fitted to where nothing else is asked for.
        fit: How it is fitted.
        name: Its name, for errors.
    """

    content: bytes
    size: int
    fit: Fit
    name: str

    def decode(self, height: int, width: int) -> np.ndarray:
        """Return the image fitted to a size, RGB uint8 ``(height, width, 3)``.

        Raises:
            ValueError: If it cannot be read.
        """
        return fit_image(self.content, height=height, width=width, fit=self.fit, name=self.name)

    def crop(self, draw: Callable[[int, int], Box], height: int, width: int) -> np.ndarray:
        """Return a piece of the whole image, resized, RGB uint8 ``(height, width, 3)``.

        Args:
            draw: Called with height and width of the whole image; returns the piece.
            height: Of the result, in pixels.
            width: Of the result, in pixels.

        Raises:
            ValueError: If it cannot be read.
        """
        return crop_image(self.content, draw, height=height, width=width, fit=self.fit, name=self.name)
