"""The network that a recipe describes."""

from __future__ import annotations

import os

import keras

from resnet50.build import build_resnet50
from resnet50.conventions import V1, V1_5, Conventions
from resnet50.model import STAGES, Stage
from resnet50.training.recipe import Recipe

# "keras" initializes the weights as keras.applications does, for the classic recipes
_CONVENTIONS = {"v1": V1.from_scratch(), "v1.5": V1_5.from_scratch(), "keras": V1}


def build_network(
    recipe: Recipe,
    classes: int,
    *,
    weights: str | os.PathLike[str] | None = None,
    conventions: Conventions | None = None,
    normalization: str | None = None,
) -> keras.Model:
    """Build a recipe's network; the recipe's seed determines its initial weights.

    Args:
        recipe: Image size, head, stem, stages and seed; conventions and normalization, if it has any.
        classes: Number of classes.
        weights: Name or file of pretrained weights to load.
        conventions: Block variant of pretrained weights that are loaded later.
        normalization: Input normalization of those weights.

    Returns:
        Model from `resnet50.build.build_resnet50`.

    Raises:
        ValueError: If a name in the recipe is unknown, or the weights do not fit.
    """
    keras.utils.set_random_seed(recipe.seed)
    if recipe.conventions:
        conventions = _CONVENTIONS[recipe.conventions]
    return build_resnet50(
        classes,
        input_shape=(recipe.image_size, recipe.image_size, 3),
        weights=weights,
        normalization=normalization or recipe.normalization,
        head=recipe.head,
        stem=recipe.stem,
        conventions=conventions,
        stages=[Stage(*row) for row in recipe.stages] if recipe.stages else STAGES,
    )
