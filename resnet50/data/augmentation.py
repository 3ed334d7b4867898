"""Random changes to training images, outside the model: an affine warp, and a change of brightness and contrast."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
from PIL import Image

from resnet50._io.arguments import check_types, number


@dataclass(frozen=True)
class Augmentation:
    """How strongly training images are changed; each number is the largest change, and changes are drawn uniformly.

    Attributes:
        shift: Along each axis, as a share of the height or width, 0..0.5.
        rotation: In either direction, in degrees, 0..180.
        zoom: Factor between ``1 - zoom`` and ``1 + zoom``, 0..0.9.
        shear: In either direction, in degrees, 0..60.
        brightness: Added to or subtracted from every pixel, as a share of 255, 0..1.
        contrast: Factor on the distance to the image's mean, between ``1 - contrast`` and ``1 + contrast``, 0..1.
        flip: Whether half of the images are mirrored left to right; None mirrors them too, but `resnet50.train` refuses
            it where mirror images cross classes.

    Raises:
        ValueError: If a number is out of its range.
    """

    shift: float = number("Shift along each axis, as a share of the image, 0..0.5.", 0.0)
    rotation: float = number("Rotation in either direction, in degrees, 0..180.", 0.0)
    zoom: float = number("Zoom between 1 minus this and 1 plus this, 0..0.9.", 0.0)
    shear: float = number("Shear in either direction, in degrees, 0..60.", 0.0)
    brightness: float = number("Change of brightness in either direction, as a share of 255, 0..1.", 0.0)
    contrast: float = number("Factor on the contrast between 1 minus this and 1 plus this, 0..1.", 0.0)
    flip: bool | None = number(
        "Mirror half of the images left to right; where mirror images cross classes, training asks for one of the two.",
        False,
    )

    def __post_init__(self) -> None:
        check_types(self)
        limits = {"shift": 0.5, "rotation": 180, "zoom": 0.9, "shear": 60, "brightness": 1, "contrast": 1}
        for name, limit in limits.items():
            if not 0 <= getattr(self, name) <= limit:
                raise ValueError(f"expected augmentation {name} in 0..{limit}, got {getattr(self, name)!r}.")

    @property
    def flips(self) -> bool:
        """Whether half of the images are mirrored."""
        return self.flip is not False

    @property
    def changes(self) -> bool:
        """Whether images are changed at all."""
        return self.flips or any(getattr(self, each.name) for each in fields(self))

    def apply(self, images: np.ndarray, generators: list[np.random.Generator]) -> np.ndarray:
        """Change each image by the draws of its own generator.

        Args:
            images: RGB uint8 ``(n, height, width, 3)``, 0..255; not changed.
            generators: One for each image; the same state gives the same change, whatever the other images are.

        Returns:
            uint8 ``(n, height, width, 3)``. Pixels that a warp brings in from outside repeat the border.

        Raises:
            ValueError: If the images do not have this type and shape, or there is not one generator for each.
        """
        if images.dtype != np.uint8 or images.ndim != 4 or len(generators) != len(images):
            raise ValueError(
                "expected uint8 images (n, height, width, 3) and a generator for each, "
                f"got {images.dtype} {images.shape} and {len(generators)} generators."
            )
        if not self.changes:
            return images
        changed = np.empty_like(images)
        for index, generator in enumerate(generators):
            draw = generator.uniform(-1, 1, 8)
            changed[index] = self._light(_sample(images[index], self._warp(draw, *images.shape[1:3])), draw)
        return changed

    def _warp(self, draw: np.ndarray, height: int, width: int) -> tuple[float, ...]:
        """Return the affine map from a place in the result to one in the image: (a, b, c, d, e, f) as Pillow has it.

        The image is mirrored, rotated and zoomed, then sheared, each about its center, and finally shifted.
        """
        angle, shear = math.radians(self.rotation * draw[0]), math.radians(self.shear * draw[1])
        scale = 1 / (1 + self.zoom * draw[2])
        mirror = -1.0 if self.flips and draw[3] < 0 else 1.0
        cos, sin, slope = math.cos(angle) * scale, math.sin(angle) * scale, math.tan(shear)
        a, b = mirror * cos, mirror * (cos * slope - sin)
        d, e = sin, sin * slope + cos
        x, y = width * (0.5 + self.shift * draw[4]), height * (0.5 + self.shift * draw[5])  # where the center lands
        return a, b, width / 2 - a * x - b * y, d, e, height / 2 - d * x - e * y

    def _light(self, image: np.ndarray, draw: np.ndarray) -> np.ndarray:
        if not (self.brightness or self.contrast):
            return image
        mean = image.mean()
        factor, offset = 1 + self.contrast * draw[6], 255 * self.brightness * draw[7]
        table = np.clip(np.rint((np.arange(256) - mean) * factor + mean + offset), 0, 255).astype(np.uint8)
        return table[image]


def _sample(image: np.ndarray, warp: tuple[float, ...]) -> np.ndarray:
    """Sample an image at the places of an affine map, bilinearly; beyond its border the image continues it."""
    height, width = image.shape[:2]
    a, b, c, d, e, f = warp
    corners = np.array([(a * x + b * y + c, d * x + e * y + f) for x in (0, width) for y in (0, height)])
    # the region of the continued image that is sampled, and one more pixel on each side to interpolate with
    (left, top), (right, bottom) = np.floor(corners.min(axis=0)) - 1, np.ceil(corners.max(axis=0)) + 1
    region = image.take(np.arange(top, bottom, dtype=int), axis=0, mode="clip")
    region = region.take(np.arange(left, right, dtype=int), axis=1, mode="clip")
    moved = (a, b, c - left, d, e, f - top)
    return np.asarray(
        Image.fromarray(region).transform((width, height), Image.Transform.AFFINE, moved, Image.Resampling.BILINEAR)
    )
