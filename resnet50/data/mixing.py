"""Mix training images, and their targets, with others of their batch: mixup and cutmix."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

GROUP = 32
"""Most images of a batch that are mixed with one another.

Of several processes that share a batch, each can make its rows without those of the others, wherever the batch is
divided between groups; and the mixtures are the same for any number of them.
"""


@dataclass(frozen=True)
class Mixing:
    """How strongly the images of a batch are mixed with one another.

    A batch is divided into as few groups of at most `GROUP` images as can be, of about one size. Each image is mixed
    with the one that a random permutation of its group puts in its place. The share of itself in the result is drawn
    once for the group, from ``Beta(alpha, alpha)``: a small alpha hardly mixes, with 1 every share is equally likely, a
    large alpha gives halves. If both are switched on, one of the two is drawn for each group, with equal probability.

    Attributes:
        mixup: Alpha of mixup, which blends two whole images; 0 switches it off.
        cutmix: Alpha of cutmix, which replaces a rectangle by that of the other image; 0 switches it off.

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
                raise ValueError(f"expected {name} to be 0 or more and finite, got {getattr(self, name)!r}.")

    def apply(
        self, images: np.ndarray, targets: np.ndarray, generator: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mix each group of a batch with a permutation of itself.

        Args:
            images: RGB uint8 ``(n, height, width, 3)``, 0..255; not changed.
            targets: Share of each class in each image, float ``(n, classes)``, each row summing to 1; not changed.
            generator: Determines the permutations, the methods, the shares and the rectangles.

        Returns:
            Images, uint8 ``(n, height, width, 3)``, rounded, and targets, float32 ``(n, classes)``, each row summing
            to 1. For cutmix the share is counted in pixels, after the rectangle is clipped to the image.

        Raises:
            ValueError: If images or targets do not have these types and shapes.
        """
        if images.dtype != np.uint8 or images.ndim != 4 or targets.ndim != 2 or len(targets) != len(images):
            raise ValueError(
                "expected uint8 images (n, height, width, 3) and targets (n, classes), "
                f"got {images.dtype} {images.shape} and {targets.shape}."
            )
        mixture = self.draw(len(images), images.shape[1:3], generator)
        if mixture is None:
            return images, targets.astype(np.float32)
        return mixture.mix(images, images[mixture.order]), mixture.mix_targets(targets, targets[mixture.order])

    def draw(self, n: int, size: tuple[int, ...], generator: np.random.Generator) -> Mixture | None:
        """Draw how a batch of ``n`` images of a size, height and width, is mixed; None if both are switched off."""
        ways = [(alpha, method) for alpha, method in ((self.mixup, "mixup"), (self.cutmix, "cutmix")) if alpha]
        if not ways:
            return None
        groups = np.array_split(np.arange(n), max(1, -(-n // GROUP)))
        drawn = [_draw_group(group, size, *ways[generator.integers(len(ways))], generator) for group in groups]
        return Mixture(*map(np.concatenate, zip(*drawn, strict=True)))


class Mixture(NamedTuple):
    """How the images of one batch are mixed, a row for each: some can be mixed without the others.

    Attributes:
        order: The image of the batch that each is mixed with, ``(n,)``.
        share: Share of the image itself in the result, by which its target counts, ``(n,)``.
        box: The part that is mixed: top, bottom, left and right in pixels, ``(n, 4)``. For mixup the whole image; for
            cutmix a rectangle of its aspect ratio, its center anywhere in it, clipped at the border.
        weight: Share of the image itself in that part, ``(n,)``: for cutmix 0.
    """

    order: np.ndarray
    share: np.ndarray
    box: np.ndarray
    weight: np.ndarray

    def select(self, rows: np.ndarray) -> Mixture:
        """Return the rows of some images, by their numbers in the batch."""
        return Mixture(*(array[rows] for array in self))

    def mix(self, images: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Return images mixed with others, uint8 ``(n, height, width, 3)``, rounded.

        In the box: ``weight * image + (1 - weight) * other``.
        """
        mixed = images.copy()
        for index, (top, bottom, left, right) in enumerate(self.box.tolist()):
            # one by one: what is between stays in the processor's cache, a tenth of the time for a whole batch
            part, weight = (index, slice(top, bottom), slice(left, right)), self.weight[index]
            mixed[part] = np.rint(images[part] * np.float32(weight) + others[part] * np.float32(1 - weight))
        return mixed

    def mix_targets(self, targets: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Return the targets of mixed images, float32 ``(n, classes)``."""
        share = self.share[:, None]
        return (share * targets + (1 - share) * others).astype(np.float32)


def _draw_group(
    group: np.ndarray, size: tuple[int, ...], alpha: float, method: str, generator: np.random.Generator
) -> Mixture:
    n, height, width = len(group), *size
    order, share = group[generator.permutation(n)], generator.beta(alpha, alpha)
    if method == "mixup":
        return Mixture(order, np.full(n, share), np.tile((0, height, 0, width), (n, 1)), np.full(n, share))
    top, bottom, left, right = (end for length in size for end in _span(length, math.sqrt(1 - share), generator))
    share = 1 - (bottom - top) * (right - left) / (height * width)
    return Mixture(order, np.full(n, share), np.tile((top, bottom, left, right), (n, 1)), np.zeros(n))


def _span(length: int, share: float, generator: np.random.Generator) -> tuple[int, int]:
    """Return start and end of a span that covers a share of a length, its middle drawn uniformly, clipped to it."""
    middle, half = generator.uniform(0, length), length * share / 2
    return max(round(middle - half), 0), min(round(middle + half), length)
