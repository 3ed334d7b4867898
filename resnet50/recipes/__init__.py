"""Recipes: numbers only, one short file per task, named after its dataset in `resnet50.datasets`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from resnet50._io.text import did_you_mean
from resnet50.recipes import (
    caltech101,
    cats_dogs,
    cifar10,
    folder,
    imagenet,
    imagenet_90,
    leukemia,
    rendered_signs,
    rocks,
    signs,
)
from resnet50.training.recipe import Recipe


class Task(Protocol):
    """The interface of a task's module in this package.

    Attributes:
        RECIPE: Every number of a training from scratch.
        VARIANTS: Every way to train, by name: ``"scratch"``, which is `RECIPE`; ``"fine-tuned"``, from ImageNet
            weights, where the network has their stem; ``"all-layers"``, from them too, for images of your own on which
            a linear probe errs much; ``"classic"``, the usual setting elsewhere, if it is another.
    """

    RECIPE: Recipe
    VARIANTS: Mapping[str, Recipe]
    __doc__: str | None


RECIPES: dict[str, Task] = {
    task.RECIPE.name: task
    for task in (
        signs,
        leukemia,
        rocks,
        cats_dogs,
        cifar10,
        caltech101,
        imagenet,
        imagenet_90,
        folder,
        rendered_signs,
    )
}
"""Tasks by name, such as ``RECIPES["signs"]``: a module with a recipe and its variants."""


def find_task(name: str) -> Task:
    """Return the task of that name.

    Raises:
        ValueError: If there is none.
    """
    if name not in RECIPES:
        raise ValueError(
            f"expected the name of a task, one of {', '.join(RECIPES)}, got {name!r}{did_you_mean(name, RECIPES)}"
        )
    return RECIPES[name]
