"""The validation split of a training: the dataset's own, or images that the recipe holds out."""

from __future__ import annotations

from resnet50.data.splits import DatasetSplits
from resnet50.training.recipe import Recipe


def hold_out(recipe: Recipe, splits: DatasetSplits) -> DatasetSplits:
    """Return the splits with a validation split: the dataset's own, or the recipe's share of the train split.

    Args:
        recipe: ``validation_split`` and ``seed``; a share of 0 holds nothing out.
        splits: At least a train split.

    Returns:
        Splits whose train and validation images have none in common; the same splits where nothing is held out.

    Raises:
        ValueError: If the recipe's share cannot be held out.
    """
    return splits.hold_out(recipe.validation_split, seed=recipe.seed)
