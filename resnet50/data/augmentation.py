"""Random changes to training pictures: one composed warp and one change of light for each, outside the model."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Augmentation:
    """How far training pictures are changed at random; every figure is the largest change, drawn uniformly.

    Attributes:
        shift: Along each axis, as a share of the side, 0..0.5.
        rotation: To either side, in degrees, 0..180.
        zoom: Factor between ``1 - zoom`` and ``1 + zoom``, 0..0.9.
        shear: To either side, in degrees, 0..60.
        brightness: Added to every pixel, to either side, as a share of 255, 0..1.
        contrast: Factor on the distance to the picture's mean, between ``1 - contrast`` and ``1 + contrast``, 0..1.
        flip: Whether half of the pictures are mirrored left to right.

    Raises:
        ValueError: If a figure is out of its range.
    """

    shift: float = 0.0
    rotation: float = 0.0
    zoom: float = 0.0
    shear: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    flip: bool = False

    def __post_init__(self) -> None:
        limits = {"shift": 0.5, "rotation": 180, "zoom": 0.9, "shear": 60, "brightness": 1, "contrast": 1}
        for field, limit in limits.items():
            if not 0 <= getattr(self, field) <= limit:
                raise ValueError(f"augmentation {field} must be 0..{limit}, got {getattr(self, field)!r}.")

    def apply(self, images: np.ndarray, generators: list[np.random.Generator]) -> np.ndarray:
        """Change each picture by what its own generator draws.

        Args:
            images: RGB uint8 ``(n, height, width, 3)``, 0..255; not changed.
            generators: One for each picture; the same state gives the same change whatever the other pictures are.

        Returns:
            uint8 ``(n, height, width, 3)``. What a warp brings in from outside continues the border.
        """
        if not any(getattr(self, field.name) for field in fields(self)):
            return images
        height, width = images.shape[1:3]
        top, left = height // 2, width // 2
        padded = np.pad(images, ((0, 0), (top, top), (left, left), (0, 0)), mode="edge")
        changed = np.empty_like(images)
        for index, generator in enumerate(generators):
            draw = generator.uniform(-1, 1, 8)
            warp = self._warp(draw, height, width, top, left)
            warped = Image.fromarray(padded[index]).transform(
                (width, height), Image.Transform.AFFINE, warp, Image.Resampling.BILINEAR
            )
            changed[index] = self._light(np.asarray(warped), draw)
        return changed

    def _warp(self, draw: np.ndarray, height: int, width: int, top: int, left: int) -> tuple[float, ...]:
        """Return the affine map from a pixel of the result to a place in the padded picture, as Pillow takes it."""
        angle, shear = math.radians(self.rotation * draw[0]), math.radians(self.shear * draw[1])
        scale = 1 / (1 + self.zoom * draw[2])
        mirror = -1.0 if self.flip and draw[3] < 0 else 1.0
        cos, sin, slope = math.cos(angle) * scale, math.sin(angle) * scale, math.tan(shear)
        # rotation and zoom, after a shear along x, after the mirror
        a, b = mirror * cos, mirror * (cos * slope - sin)
        d, e = sin, sin * slope + cos
        centre_x, centre_y = width / 2, height / 2
        to_x = left + centre_x + self.shift * draw[4] * width
        to_y = top + centre_y + self.shift * draw[5] * height
        return a, b, to_x - a * centre_x - b * centre_y, d, e, to_y - d * centre_x - e * centre_y

    def _light(self, image: np.ndarray, draw: np.ndarray) -> np.ndarray:
        if not (self.brightness or self.contrast):
            return image
        mean = image.mean()
        factor, offset = 1 + self.contrast * draw[6], 255 * self.brightness * draw[7]
        table = np.clip(np.rint((np.arange(256) - mean) * factor + mean + offset), 0, 255).astype(np.uint8)
        return table[image]
