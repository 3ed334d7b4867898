"""Training images mixed with others of their batch, and their targets with them: mixup and cutmix."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Mixing:
    """How strongly the images of a batch are mixed with one another.

    Each image meets the one that a random permutation of the batch puts in its place. The share that it keeps is
    drawn once for the batch, from ``Beta(alpha, alpha)``: a small alpha hardly mixes, with 1 every share is as likely
    as any other, a large alpha gives halves. Where both ways are on, one of the two is drawn for each batch, either as
    likely.

    Attributes:
        mixup: Alpha of mixup, which blends two images as a whole; 0 switches it off.
        cutmix: Alpha of cutmix, which replaces a rectangle by what the other image has there; 0 switches it off.

    Raises:
        ValueError: If an alpha is negative or not finite.

    Source: Zhang et al. 2017, arXiv:1710.09412, section 1 and figure 1a; Yun et al. 2019, arXiv:1905.04899, section
    3.1, equations 1 and 2.
    """

    mixup: float = 0.0
    cutmix: float = 0.0

    def __post_init__(self) -> None:
        for name in ("mixup", "cutmix"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be 0 or more and finite, got {getattr(self, name)!r}.")

    def apply(
        self, images: np.ndarray, targets: np.ndarray, generator: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mix a batch with a permutation of itself.

        Args:
            images: RGB uint8 ``(n, height, width, 3)``, 0..255; not changed.
            targets: What each image is, float ``(n, classes)``, each row summing to 1; not changed.
            generator: Decides the permutation, the way, the share and the rectangle; the same state gives the same.

        Returns:
            Images, uint8 ``(n, height, width, 3)``, rounded, and targets, float32 ``(n, classes)``, each row summing
            to 1. What cutmix leaves of an image is counted in pixels, after its rectangle was clipped to the image.

        Raises:
            ValueError: If images or targets are not of this form.
        """
        if images.dtype != np.uint8 or images.ndim != 4 or targets.ndim != 2 or len(targets) != len(images):
            raise ValueError(
                "expected uint8 images (n, height, width, 3) and targets (n, classes), "
                f"got {images.dtype} {images.shape} and {targets.shape}."
            )
        ways = [(alpha, way) for alpha, way in ((self.mixup, _blend), (self.cutmix, _paste)) if alpha]
        if not ways:
            return images, targets.astype(np.float32)
        alpha, way = ways[generator.integers(len(ways))]
        order = generator.permutation(len(images))
        mixed, kept = way(images, images[order], generator.beta(alpha, alpha), generator)
        return mixed, (kept * targets + (1 - kept) * targets[order]).astype(np.float32)


def _blend(
    images: np.ndarray, others: np.ndarray, share: float, generator: np.random.Generator
) -> tuple[np.ndarray, float]:
    """Compute ``share * images + (1 - share) * others``; return it and the share of ``images`` in it."""
    mixed = images * np.float32(share) + others * np.float32(1 - share)
    return np.rint(mixed).astype(np.uint8), share


def _paste(
    images: np.ndarray, others: np.ndarray, share: float, generator: np.random.Generator
) -> tuple[np.ndarray, float]:
    """Put a rectangle of ``1 - share`` of the area from ``others`` over ``images``; return it and what stays uncovered.

    The rectangle has the image's proportions and its center anywhere in it; what reaches over the border is cut off.
    """
    height, width = images.shape[1:3]
    (top, bottom), (left, right) = (_span(length, math.sqrt(1 - share), generator) for length in (height, width))
    mixed = images.copy()
    mixed[:, top:bottom, left:right] = others[:, top:bottom, left:right]
    return mixed, 1 - (bottom - top) * (right - left) / (height * width)


def _span(length: int, share: float, generator: np.random.Generator) -> tuple[int, int]:
    """Return first pixel and end of a share of a side, its middle drawn uniformly, clipped to the side."""
    middle, half = generator.uniform(0, length), length * share / 2
    return max(round(middle - half), 0), min(round(middle + half), length)
