"""The network that a recipe describes."""

from __future__ import annotations

import os
from dataclasses import replace

import keras

from resnet50._io.quiet import quiet
from resnet50.build import build_resnet50
from resnet50.conventions import V1, V1_5, Conventions
from resnet50.model import TABLE_1, Stage
from resnet50.training.recipe import Recipe
from resnet50.weights.read import read_fitting

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
        recipe: Image size, head, stem, depth, form and seed; conventions and normalization, if it has any.
        classes: Number of classes.
        weights: Name or file of pretrained weights to load.
        conventions: Block variant of pretrained weights that are loaded later.
        normalization: Input normalization of those weights.

    Returns:
        Model from `resnet50.build.build_resnet50`.

    Raises:
        ValueError: If a name in the recipe is unknown, or the weights do not fit.
    """
    with quiet():  # with any backend, it imports TensorFlow, which prints some lines
        keras.utils.set_random_seed(recipe.seed)
    file = None if weights is None else read_fitting(weights, recipe.layers)
    if recipe.conventions:
        conventions = _CONVENTIONS[recipe.conventions]
    elif conventions is None:
        conventions = _CONVENTIONS["v1"] if file is None else file.conventions
    return build_resnet50(
        classes,
        input_shape=(recipe.image_size, recipe.image_size, 3),
        weights=file,
        normalization=normalization or recipe.normalization,
        head=recipe.head,
        stem=recipe.stem,
        conventions=replace(conventions, stochastic_depth=recipe.stochastic_depth),
        stages=[Stage(*row) for row in recipe.stages] if recipe.stages else TABLE_1[recipe.depth],
        form=recipe.form,
    )
