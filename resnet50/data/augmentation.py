"""Random changes to training images, outside the model: a crop, an affine warp, light, a policy, and an erased part."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
from PIL import Image

from resnet50._io.arguments import check_types, check_values, number
from resnet50._io.workers import in_order
from resnet50.data.encoded_image import EncodedImage
from resnet50.data.lazy_images import LazyImages
from resnet50.data.policies import LARGEST, rand_augment, trivial_augment
from resnet50.data.random_crop import Resize, draw_box

ERASED = (0.02, 0.4)
"""Share of an image's area that is erased, from and to."""

_ERASED_ASPECT = (0.3, 1 / 0.3)  # height of an erased part over its width
_ATTEMPTS = 100


@dataclass(frozen=True)
class Augmentation:
    """How strongly training images are changed; each number is the largest change, and changes are drawn uniformly.

    The changes follow each other in this order: crop, warp (shift, rotation, zoom, shear, flip), light, policy
    (RandAugment or TrivialAugment), erasing.

    Attributes:
        shift: Along each axis, as a share of the height or width, 0..0.5.
        rotation: In either direction, in degrees, 0..180.
        zoom: Factor between ``1 - zoom`` and ``1 + zoom``, 0..0.9.
        shear: In either direction, in degrees, 0..60.
        brightness: Added to or subtracted from every pixel, as a share of 255, 0..1.
        contrast: Factor on the distance to the image's mean, between ``1 - contrast`` and ``1 + contrast``, 0..1.
        flip: Whether half of the images are mirrored left to right; None mirrors them too, but `resnet50.train` refuses
            it where mirror images cross classes.
        crop_area: Smallest share of an image's area that a random-resized crop shows, above 0 to 1; 1 for no crop
            (`resnet50.data.random_crop.draw_box`).
        rand_augment: Magnitude of RandAugment, 0..10; 0 for none (`resnet50.data.policies.rand_augment`).
        trivial_augment: Whether TrivialAugment changes each image (`resnet50.data.policies.trivial_augment`).
        erasing: Share of the images of which a rectangle becomes noise, 0..1 (Zhong et al. 2017, arXiv:1708.04896,
            algorithm 1: 2 to 40 % of the area).

    Raises:
        ValueError: If a number is out of its range, or both policies are asked for.
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
    crop_area: float = number("Smallest share of the area of a random-resized crop, above 0 to 1; 1 for none.", 1.0)
    rand_augment: float = number("Magnitude of RandAugment, 0..10; 0 for none.", 0.0)
    trivial_augment: bool = number("Change each image by one random operation (TrivialAugment).", False)
    erasing: float = number("Share of the images of which a random rectangle is erased, 0..1.", 0.0)

    def __post_init__(self) -> None:
        check_types(self)
        limits = {"shift": 0.5, "rotation": 180, "zoom": 0.9, "shear": 60, "brightness": 1, "contrast": 1}
        limits |= {"crop_area": 1, "rand_augment": LARGEST, "erasing": 1}
        for name, limit in limits.items():
            if not 0 <= getattr(self, name) <= limit:
                raise ValueError(f"expected augmentation {name} in 0..{limit:g}, got {getattr(self, name)!r}.")
        check_values(
            self,
            {
                "crop_area": (self.crop_area > 0, "above 0 and at most 1"),
                "trivial_augment": (
                    not (self.trivial_augment and self.rand_augment),
                    "False where rand_augment is used",
                ),
            },
        )

    @property
    def flips(self) -> bool:
        """Whether half of the images are mirrored."""
        return self.flip is not False

    @property
    def changes(self) -> bool:
        """Whether images are changed at all."""
        return self.flips or any(getattr(self, each.name) != each.default for each in fields(self))

    def apply(
        self,
        images: np.ndarray | LazyImages,
        generators: Sequence[np.random.Generator],
        *,
        resize: Resize | None = None,
    ) -> np.ndarray:
        """Change each image by the draws of its own generator.

        Args:
            images: RGB uint8 ``(n, height, width, 3)``, 0..255; not changed. Those in files
                (`LazyImages.is_encoded`) are decoded and changed by several threads, and crops are cut from the whole.
            generators: One for each image; the same state gives the same change, whatever the other images are.
            resize: Size of the result, and how a crop is resized; None for the size of the images, bicubic.

        Returns:
            uint8 ``(n, height, width, 3)``, of the size of ``resize``. Pixels that a warp brings in from outside repeat
            the border, but for those of a policy.

        Raises:
            ValueError: If the images do not have this type and shape, there is not one generator for each, or a file
                cannot be read.
        """
        if images.dtype != np.uint8 or images.ndim != 4 or len(generators) != len(images):
            raise ValueError(
                "expected uint8 images (n, height, width, 3) and a generator for each, "
                f"got {images.dtype} {images.shape} and {len(generators)} generators."
            )
        if not self.changes:
            return resize_all(images, resize)
        size = resize or Resize(*images.shape[1:3])
        return _map(lambda image, place: self._change(image, generators[place], size), images, size)

    def _change(self, image: np.ndarray | EncodedImage, generator: np.random.Generator, resize: Resize) -> np.ndarray:
        draw = generator.uniform(-1, 1, 8)  # first, so that other changes leave it as it is
        if self.crop_area < 1:
            image = resize.crop(image, lambda height, width: draw_box(height, width, self.crop_area, generator))
        else:
            image = resize.apply(image)
        image = self._light(_sample(image, self._warp(draw, *image.shape[:2])), draw)
        if self.rand_augment:
            image = rand_augment(image, self.rand_augment, generator)
        if self.trivial_augment:
            image = trivial_augment(image, generator)
        return _erase(image, generator) if self.erasing and generator.random() < self.erasing else image

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


def resize_all(images: np.ndarray | LazyImages, resize: Resize | None) -> np.ndarray:
    """Return images that nothing else changes.

    Args:
        images: As for `Augmentation.apply`.
        resize: Their size; None for the size that they have.

    Returns:
        uint8 ``(n, height, width, 3)``.

    Raises:
        ValueError: If a file cannot be read.
    """
    return np.asarray(images) if resize is None else _map(lambda image, _: resize.apply(image), images, resize)


def _map(
    change: Callable[[np.ndarray | EncodedImage, int], np.ndarray], images: np.ndarray | LazyImages, size: Resize
) -> np.ndarray:
    """Return what a function of an image and its place makes of each; several threads decode and change files."""
    files = images if isinstance(images, LazyImages) and images.is_encoded else None
    changed = np.empty((len(images), size.height, size.width, 3), np.uint8)

    def put(place: int) -> None:
        changed[place] = change(images[place] if files is None else files.encoded(place), place)

    places = range(len(images))
    deque(map(put, places) if files is None else in_order(put, places), maxlen=0)
    return changed


def _sample(image: np.ndarray, warp: tuple[float, ...]) -> np.ndarray:
    """Sample an image at the places of an affine map, bilinearly; beyond its border the image continues it."""
    height, width = image.shape[:2]
    if warp in ((1, 0, 0, 0, 1, 0), (-1, 0, width, 0, 1, 0)):  # as it is, or mirrored: the same without interpolation
        return image[:, :: int(warp[0])]
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


def _erase(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Replace a random rectangle by noise; a rectangle that does not fit into the image is drawn again."""
    height, width = image.shape[:2]
    for _ in range(_ATTEMPTS):
        area, aspect = height * width * generator.uniform(*ERASED), generator.uniform(*_ERASED_ASPECT)
        high, wide = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < high <= height and 0 < wide <= width:
            top, left = (int(generator.integers(most + 1)) for most in (height - high, width - wide))
            erased = image.copy()
            erased[top : top + high, left : left + wide] = generator.integers(0, 256, (high, wide, 3), np.uint8)
            return erased
    return image
