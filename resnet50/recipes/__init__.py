"""One file a task: where its pictures come from and every number of its training."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Protocol

from resnet50.data.split import Parts
from resnet50.download import Progress
from resnet50.recipes import caltech101, cats_dogs, cifar10, folder, leukemia, rendered_signs, rocks, signs
from resnet50.training.recipe import Recipe


class Task(Protocol):
    """What a module here has.

    Attributes:
        RECIPE: Every number of a training from scratch.
        VARIANTS: Every way to train, by name: ``"scratch"``, which is `RECIPE`; ``"fine-tuned"``, from ImageNet's
            weights, where the network has their stem; ``"classic"``, the setting that is usual elsewhere.
    """

    RECIPE: Recipe
    VARIANTS: Mapping[str, Recipe]
    __doc__: str | None

    def load(
        self, data: str | os.PathLike[str] | None, *, side: int, progress: Progress | None = None, **options: Any
    ) -> Parts:
        """Return the pictures from a place, or from where they usually are, ``side`` pixels high and wide."""


RECIPES: Mapping[str, Task] = {
    task.RECIPE.name: task for task in (signs, leukemia, rocks, cats_dogs, cifar10, caltech101, folder, rendered_signs)
}


def find_task(name: str) -> Task:
    """Return the task of that name.

    Raises:
        ValueError: If there is none.
    """
    if name not in RECIPES:
        raise ValueError(f"needed a recipe's name, one of {', '.join(RECIPES)}, got {name!r}.")
    return RECIPES[name]


def find_variant(task: Task, name: str) -> Recipe:
    """Return the task's variant of that name.

    Raises:
        ValueError: If it has none.
    """
    if name not in task.VARIANTS:
        raise ValueError(f"needed a variant of {task.RECIPE.name}, one of {', '.join(task.VARIANTS)}, got {name!r}.")
    return task.VARIANTS[name]
