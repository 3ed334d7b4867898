"""Two classifiers on the same images: how much more accurate one is, and whether that may be chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_DRAWS = 20_000


@dataclass(frozen=True)
class PairedDifference:
    """The difference of two classifiers on the same images; what both or neither classify correctly says nothing.

    Attributes:
        images: Number of images.
        first_better: Images that the first classifies correctly and the second does not, or more often.
        second_better: The same of the second.
        difference: Accuracy of the second minus that of the first, -1..1.
        interval: 95 % confidence interval of the difference, -1..1: the middle of what images that are drawn anew with
            replacement give (Efron 1979, the percentile bootstrap). If all images have the same difference, such as
            none, that has no width, and `unseen` of the images may have any other.
        p_value: Probability that two equally accurate classifiers differ by at least as much on these images, 0..1:
            McNemar's test (1947) with the exact binomial distribution. For means of several networks, the signs of the
            images' differences are drawn anew, which is the same test where each is -1, 0 or 1.
    """

    images: int
    first_better: int
    second_better: int
    difference: float
    interval: tuple[float, float]
    p_value: float

    @property
    def same(self) -> bool:
        """Whether both classify the same images correctly."""
        return self.first_better == self.second_better == 0

    @property
    def unseen(self) -> float:
        """Largest share of images that is compatible with seeing none of them, 0..1: ``1 - 0.05 ** (1 / images)``.

        The upper end of the one-sided 95 % interval, about ``3 / images``.

        Source: Hanley and Lippman-Hand 1983, "If nothing goes wrong, is everything all right?", JAMA 249(13), the rule
        of three.
        """
        return _unseen(self.images)

    @property
    def p_in_words(self) -> str:
        """The p-value with three decimals, or ``"below 0.001"``."""
        return f"{self.p_value:.3f}" if self.p_value >= 0.001 else "below 0.001"


def paired_difference(first: np.ndarray, second: np.ndarray, *, seed: int = 0) -> PairedDifference:
    """Compare two classifiers by the images that they classify correctly.

    Images are the only chance that interval and p-value account for. That other seeds give other networks is not.

    Args:
        first: ``(n,)``: whether the first classifies image k correctly, bool; or the share of several networks that do,
            0..1.
        second: The same of the second.
        seed: Of what is drawn.

    Raises:
        ValueError: If the two are not about the same number of images, at least one.
    """
    if first.shape != second.shape or first.ndim != 1 or not len(first):
        raise ValueError(
            f"expected a value for each of the same images, at least one, got {first.shape} and {second.shape}."
        )
    # rounded, so that the same difference of two thirds is one value however it was computed
    differences = np.round(second.astype(np.float64) - first.astype(np.float64), 9)
    values, counts = np.unique(differences, return_counts=True)
    rng = np.random.default_rng(seed)
    means = rng.multinomial(len(first), counts / len(first), size=_DRAWS) @ values / len(first)
    low, high = np.percentile(means, (2.5, 97.5))
    if len(values) == 1:  # the bootstrap would be certain
        low, high = values[0] + _unseen(len(first)) * (np.array([-1, 1]) - values[0])
    return PairedDifference(
        images=len(first),
        first_better=int((differences < 0).sum()),
        second_better=int((differences > 0).sum()),
        difference=float(differences.mean()),
        interval=(float(low), float(high)),
        p_value=_p_value(differences, rng),
    )


def _unseen(images: int) -> float:
    return float(1 - 0.05 ** (1 / images))


def _p_value(differences: np.ndarray, rng: np.random.Generator) -> float:
    """Return the probability of a mean at least as far from 0 when each difference is as likely to have either sign."""
    sizes, counts = np.unique(np.abs(differences[differences != 0]), return_counts=True)
    if not len(sizes):
        return 1.0
    if len(sizes) == 1:
        from scipy.stats import binomtest

        return float(binomtest(int((differences > 0).sum()), int(counts[0])).pvalue)
    sums = (2 * rng.binomial(counts, 0.5, size=(_DRAWS, len(counts))) - counts) @ sizes
    farther = np.abs(sums) >= abs(differences.sum()) - 1e-9
    return float((farther.sum() + 1) / (_DRAWS + 1))  # what was observed is one of the draws
