"""The network that a recipe describes."""

from __future__ import annotations

import os

import keras

from resnet50.build import build_resnet50
from resnet50.conventions import V1, V1_5, Conventions
from resnet50.model import STAGES, Stage
from resnet50.training.recipe import Recipe

# the last as keras.applications begins: for what a classic recipe gave
_CONVENTIONS = {"v1": V1.from_scratch(), "v1.5": V1_5.from_scratch(), "keras": V1}


def build_network(
    recipe: Recipe,
    classes: int,
    *,
    weights: str | os.PathLike[str] | None = None,
    conventions: Conventions | None = None,
    normalization: str | None = None,
) -> keras.Model:
    """Build a recipe's network, its first weights drawn by the recipe's seed.

    Args:
        recipe: Side, head, stem, stages, seed; conventions and normalization, if it says any.
        classes: Number of classes.
        weights: Pretrained weights to load.
        conventions: Those that weights need, which are loaded later.
        normalization: What those weights expect pixels to be turned into.

    Returns:
        Model as `resnet50.model.build_resnet50` builds it.

    Raises:
        ValueError: If the recipe's names are unknown, or the weights do not fit.
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
