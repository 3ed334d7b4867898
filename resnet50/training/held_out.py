"""What validation images decide in a training, and those that decide nothing, which thresholds are fitted on."""

from __future__ import annotations

from dataclasses import dataclass

from resnet50._io.text import are, share_of
from resnet50.data.dataset import Dataset
from resnet50.data.splitting import train_validation_split
from resnet50.training.phases import LinearProbe
from resnet50.training.recipe import Recipe
from resnet50.uncertainty.conformal import fewest_images
from resnet50.uncertainty.shares import COVERAGE

_MANY = 10  # one of fewer images is more than a tenth
_ROUNDING = 1e-6  # 0.29 * 100 is less than 29 in floating point


@dataclass(frozen=True)
class Misclassified:
    """Number of misclassified validation images.

    Attributes:
        count: Misclassified images, 0 to ``images``.
        images: All validation images, at least 1.
    """

    count: int
    images: int

    def within(self, share: float) -> bool:
        """Return whether they are at most this share of the images, 0..1."""
        return self.count <= share * self.images + _ROUNDING

    def at_most(self, min_error: float) -> bool:
        """Return whether they are at most a share, 0..1, or one image of ten or more, which is too few to decide by."""
        return (self.count <= 1 and self.images >= _MANY) or self.within(min_error)

    def __str__(self) -> str:
        """Return such as ``"3 of 24 validation images (12.5%) are misclassified"``."""
        return f"{share_of(self.count, self.images, 'validation images')} {are(self.count)} misclassified"


def chooses(recipe: Recipe) -> bool:
    """Return whether a recipe chooses anything by validation images: an epoch, an end, a rate, a ``C``, a phase."""
    return recipe.keeps_best or any(
        phase.min_error > 0
        or (len(phase.c_values) > 1 if isinstance(phase, LinearProbe) else phase.patience > 0 or phase.lr_patience > 0)
        for phase in recipe.phases
    )


def halves(validation: Dataset, *, seed: int) -> tuple[Dataset, Dataset | None]:
    """Cut validation images into those that choices are made by, and those that thresholds are fitted on.

    Near-duplicates and groups stay together. Nothing is cut off where the second half would have too few images for
    prediction sets.

    Args:
        validation: The validation images.
        seed: Determines which images.

    Returns:
        Both; None for the second where there are too few.
    """
    try:
        first, second = train_validation_split(validation, 0.5, seed=seed)
    except ValueError:  # near-duplicates or groups connect them all
        return validation, None
    return (first, second) if len(second) >= fewest_images(COVERAGE) else (validation, None)
