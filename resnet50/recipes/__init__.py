"""One file a task: where its pictures come from and every number of its training."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Protocol

from resnet50.data.split import Split
from resnet50.recipes import rendered_signs, signs
from resnet50.training.recipe import Recipe


class Task(Protocol):
    """What a module here has.

    Attributes:
        RECIPE: Every number of the training.
    """

    RECIPE: Recipe
    __doc__: str | None

    def load(self, data: str | os.PathLike[str] | None) -> tuple[Split, Split]:
        """Return training and test pictures from a place, or from where they usually are."""


RECIPES: Mapping[str, Task] = {task.RECIPE.name: task for task in (signs, rendered_signs)}


def find_task(name: str) -> Task:
    """Return the task of that name.

    Raises:
        ValueError: If there is none.
    """
    if name not in RECIPES:
        raise ValueError(f"needed a recipe's name, one of {', '.join(RECIPES)}, got {name!r}.")
    return RECIPES[name]
