"""Mix training images, and their targets, with others of their batch: mixup and cutmix."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Mixing:
    """How strongly the images of a batch are mixed with one another.

    Each image is mixed with the one that a random permutation of the batch puts in its place. The share of itself in
    the result is drawn once for the batch, from ``Beta(alpha, alpha)``: a small alpha hardly mixes, with 1 every share
    is equally likely, a large alpha gives halves. If both are switched on, one of the two is drawn for each batch, with
    equal probability.

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
        """Mix a batch with a permutation of itself.

        Args:
            images: RGB uint8 ``(n, height, width, 3)``, 0..255; not changed.
            targets: Share of each class in each image, float ``(n, classes)``, each row summing to 1; not changed.
            generator: Determines the permutation, the method, the share and the rectangle.

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
        alphas = [(alpha, method) for alpha, method in ((self.mixup, "mixup"), (self.cutmix, "cutmix")) if alpha]
        if not alphas:
            return None
        alpha, method = alphas[generator.integers(len(alphas))]
        order, share = generator.permutation(n), generator.beta(alpha, alpha)
        if method == "mixup":
            return Mixture(order, share)
        height, width = size
        (top, bottom), (left, right) = (_span(length, math.sqrt(1 - share), generator) for length in (height, width))
        share = 1 - (bottom - top) * (right - left) / (height * width)
        return Mixture(order, share, (slice(top, bottom), slice(left, right)))


@dataclass(frozen=True, eq=False)
class Mixture:
    """How one batch is mixed: some of its rows can be mixed without the others.

    Attributes:
        order: For each image of the batch the one that it is mixed with, ``(n,)``.
        share: Share of the image itself in the result.
        box: Rows and columns that are replaced by those of the other image: a rectangle of the image's aspect ratio,
            its center anywhere in it, clipped at the border. None to blend whole images.
    """

    order: np.ndarray
    share: float
    box: tuple[slice, slice] | None = None

    def mix(self, images: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Return images mixed with others, uint8 ``(m, height, width, 3)``: ``share * images + (1 - share) * others``.

        For a box it is the share of the area.
        """
        if self.box is None:
            own, other = np.float32(self.share), np.float32(1 - self.share)
            mixed = np.empty_like(images)
            for index, (image, partner) in enumerate(zip(images, others, strict=True)):
                # one by one: what is between stays in the processor's cache, a tenth of the time for a whole batch
                mixed[index] = np.rint(image * own + partner * other)
            return mixed
        rows, columns = self.box
        mixed = images.copy()
        mixed[:, rows, columns] = others[:, rows, columns]
        return mixed

    def mix_targets(self, targets: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Return the targets of mixed images, float32 ``(m, classes)``."""
        return (self.share * targets + (1 - self.share) * others).astype(np.float32)


def _span(length: int, share: float, generator: np.random.Generator) -> tuple[int, int]:
    """Return start and end of a span that covers a share of a length, its middle drawn uniformly, clipped to it."""
    middle, half = generator.uniform(0, length), length * share / 2
    return max(round(middle - half), 0), min(round(middle + half), length)
