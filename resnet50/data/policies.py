"""Augmentation policies of the literature, which draw from a table of operations: RandAugment and TrivialAugment."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

LAYERS = 2
"""Operations that RandAugment draws for an image."""

APPLIED = 0.5
"""Share of the drawn operations that RandAugment applies."""

SPREAD = 0.5
"""Standard deviation of RandAugment's magnitude."""

LARGEST = 10.0
"""Largest magnitude of RandAugment."""

BINS = 31
"""Strengths that TrivialAugment draws from, evenly spread, the weakest first."""

_MEAN = (124, 116, 104)  # color of ImageNet's images, which fills what a warp brings in

Operation = Callable[[Image.Image, float, float, Image.Resampling], Image.Image]
"""``(image, strength 0..1, sign -1 or 1, resampling) -> image``."""


def rand_augment(image: np.ndarray, magnitude: float, generator: np.random.Generator) -> np.ndarray:
    """Change an image by two operations, drawn with equal probability and each left out half of the time.

    The magnitude of each is normal around the given one, and clipped to 0..10: timm's ``rand-mM-mstd0.5-inc1``, in
    which every operation is stronger at a larger magnitude.

    Args:
        image: RGB uint8 ``(height, width, 3)``; not changed.
        magnitude: Above 0, at most `LARGEST`.
        generator: Determines operations, strengths and signs.

    Returns:
        RGB uint8 ``(height, width, 3)``.

    Source: Cubuk et al. 2019, arXiv:1909.13719, section 3, with the operations and ranges of timm
    (``timm/data/auto_augment.py``, ``_RAND_INCREASING_TRANSFORMS``), as Wightman et al. 2021, arXiv:2110.00476, use it.
    """
    changed = Image.fromarray(image)
    for _ in range(LAYERS):
        name = list(RAND_AUGMENT)[generator.integers(len(RAND_AUGMENT))]
        applied, sign, resampling = generator.random(3)
        strength = np.clip(generator.normal(magnitude, SPREAD), 0, LARGEST) / LARGEST
        if applied < APPLIED:
            how = Image.Resampling.BILINEAR if resampling < 0.5 else Image.Resampling.BICUBIC
            changed = RAND_AUGMENT[name](changed, float(strength), -1.0 if sign < 0.5 else 1.0, how)
    return np.asarray(changed)


def trivial_augment(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Change an image by one operation at one strength, both drawn with equal probability. It has no setting.

    Args:
        image: RGB uint8 ``(height, width, 3)``; not changed.
        generator: Determines operation, strength and sign.

    Returns:
        RGB uint8 ``(height, width, 3)``.

    Source: Müller and Hutter 2021, arXiv:2103.10158, algorithm 1 and table 1 (the wide space), with the strengths of
    ``torchvision.transforms.TrivialAugmentWide``.
    """
    name = list(TRIVIAL_AUGMENT)[generator.integers(len(TRIVIAL_AUGMENT))]
    strength, sign = generator.integers(BINS) / (BINS - 1), 1.0 - 2.0 * generator.integers(2)
    changed = TRIVIAL_AUGMENT[name](Image.fromarray(image), float(strength), float(sign), Image.Resampling.NEAREST)
    return np.asarray(changed)


def _warp(image: Image.Image, warp: tuple[float, ...], how: Image.Resampling, fill: tuple[int, ...]) -> Image.Image:
    return image.transform(image.size, Image.Transform.AFFINE, warp, how, fillcolor=fill)


def _shear_x(most: float, fill: tuple[int, ...]) -> Operation:
    return lambda image, level, sign, how: _warp(image, (1, sign * level * most, 0, 0, 1, 0), how, fill)


def _shear_y(most: float, fill: tuple[int, ...]) -> Operation:
    return lambda image, level, sign, how: _warp(image, (1, 0, 0, sign * level * most, 1, 0), how, fill)


def _translate_x(share: float, fill: tuple[int, ...], pixels: int = 0) -> Operation:
    def translate(image: Image.Image, level: float, sign: float, how: Image.Resampling) -> Image.Image:
        return _warp(image, (1, 0, sign * (level * share * image.width + int(level * pixels)), 0, 1, 0), how, fill)

    return translate


def _translate_y(share: float, fill: tuple[int, ...], pixels: int = 0) -> Operation:
    def translate(image: Image.Image, level: float, sign: float, how: Image.Resampling) -> Image.Image:
        return _warp(image, (1, 0, 0, 0, 1, sign * (level * share * image.height + int(level * pixels))), how, fill)

    return translate


def _rotate(most: float, fill: tuple[int, ...]) -> Operation:
    return lambda image, level, sign, how: image.rotate(sign * level * most, how, fillcolor=fill)


def _enhance(enhancer: Callable[[Image.Image], ImageEnhance._Enhance], most: float, least: float) -> Operation:
    """Return an operation with a factor from ``1 - most`` to ``1 + most``, and at least ``least``."""
    return lambda image, level, sign, how: enhancer(image).enhance(max(least, 1 + sign * level * most))


def _solarize_add(image: Image.Image, level: float, sign: float, how: Image.Resampling) -> Image.Image:
    """Brighten what is darker than 128."""
    added = int(level * 110)
    return image.point([min(255, value + added) if value < 128 else value for value in range(256)] * 3)


def _bits(count: int) -> Callable[[Image.Image], Image.Image]:
    return lambda image: image if count >= 8 else ImageOps.posterize(image, count)


_ENHANCERS: Mapping[str, Callable[[Image.Image], ImageEnhance._Enhance]] = {
    "color": ImageEnhance.Color,
    "contrast": ImageEnhance.Contrast,
    "brightness": ImageEnhance.Brightness,
    "sharpness": ImageEnhance.Sharpness,
}

RAND_AUGMENT: Mapping[str, Operation] = MappingProxyType(
    {
        "autocontrast": lambda image, level, sign, how: ImageOps.autocontrast(image),
        "equalize": lambda image, level, sign, how: ImageOps.equalize(image),
        "invert": lambda image, level, sign, how: ImageOps.invert(image),
        "rotate": _rotate(30, _MEAN),
        "posterize": lambda image, level, sign, how: _bits(4 - int(level * 4))(image),
        "solarize": lambda image, level, sign, how: ImageOps.solarize(image, 256 - int(level * 256)),
        "solarize_add": _solarize_add,
        **{name: _enhance(enhancer, 0.9, 0.1) for name, enhancer in _ENHANCERS.items()},
        "shear_x": _shear_x(0.3, _MEAN),
        "shear_y": _shear_y(0.3, _MEAN),
        "translate_x": _translate_x(0.45, _MEAN),
        "translate_y": _translate_y(0.45, _MEAN),
    }
)
"""Operations of RandAugment by name, each stronger at a larger magnitude."""

TRIVIAL_AUGMENT: Mapping[str, Operation] = MappingProxyType(
    {
        "identity": lambda image, level, sign, how: image,
        "shear_x": _shear_x(0.99, (0, 0, 0)),
        "shear_y": _shear_y(0.99, (0, 0, 0)),
        "translate_x": _translate_x(0, (0, 0, 0), pixels=32),
        "translate_y": _translate_y(0, (0, 0, 0), pixels=32),
        "rotate": _rotate(135, (0, 0, 0)),
        **{name: _enhance(enhancer, 0.99, 0.0) for name, enhancer in _ENHANCERS.items()},
        "posterize": lambda image, level, sign, how: _bits(8 - round(level * 6))(image),
        "solarize": lambda image, level, sign, how: ImageOps.solarize(image, math.ceil(round(255 * (1 - level), 6))),
        "autocontrast": lambda image, level, sign, how: ImageOps.autocontrast(image),
        "equalize": lambda image, level, sign, how: ImageOps.equalize(image),
    }
)
"""Operations of TrivialAugment by name, in the ranges of its wide space."""
