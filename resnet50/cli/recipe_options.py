"""The options of a recipe's numbers, made from the fields of `Recipe`, `Augmentation` and `Phase`."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, get_args, get_type_hints

from resnet50.cli import fit_options
from resnet50.cli.parser import number
from resnet50.cli.read_options import option
from resnet50.data.augmentation import Augmentation
from resnet50.recipes import Task
from resnet50.recipes.folder import FINE_TUNED
from resnet50.training.phases import Phase
from resnet50.training.recipe import Recipe
from resnet50.training.variants import choose_recipe, resolve_weights, usual_fit

_OWNERS = (Phase, Recipe, Augmentation)

NUMBERS = {field.name: field for owner in _OWNERS for field in fields(owner) if "help" in field.metadata}
"""The numbers of a recipe, of its augmentation and of its last phase that are options."""

_TYPES = {name: kind for owner in _OWNERS for name, kind in get_type_hints(owner).items()}
_DESCRIPTION = "Defaults are those of your own images with pretrained weights; 'resnet50 recipes TASK' shows a task's."


def add_recipe_options(parser: argparse.ArgumentParser) -> None:
    """Add an option for each number of a recipe: common ones first, rare ones last."""
    common = parser.add_argument_group("common options", textwrap.fill(_DESCRIPTION, 76))
    fit_options.add_fit_options(parser.add_argument_group("fitting images", fit_options.STORED))
    changes = parser.add_argument_group("random changes to training images")
    expert = parser.add_argument_group("expert options")
    common.add_argument(
        "--variant",
        metavar="NAME",
        help="Recipe of the task: scratch, fine-tuned, all-layers or classic, as far as it has them. "
        "Default: fine-tuned, or scratch without its weights.",
    )
    text = "Train every phase, also those that validation says are not needed."
    common.add_argument("--thorough", action="store_true", default=None, help=text)
    for name, field in NUMBERS.items():
        group = changes if name in Augmentation.__dataclass_fields__ else expert
        _add_option(common if field.metadata.get("common") else group, name, field.metadata)
    expert.add_argument(
        "--head-epochs",
        type=number(int),
        metavar="INT",
        help="Epochs that train the head alone before the last phase, in place of the earlier phases. Default: none.",
    )


def _add_option(group: argparse._ArgumentGroup, name: str, about: Mapping[str, Any]) -> None:
    value_type, choices = _value_type(name), about.get("choices") or None
    text = f"{about['help']} Default: {_default(name)}.".replace("%", "%%")
    if value_type is bool:
        group.add_argument(option(name), action=argparse.BooleanOptionalAction, default=None, help=text)
    else:
        read = str if value_type is str else number(value_type)
        metavar = None if choices else {str: "NAME"}.get(value_type, value_type.__name__.upper())
        group.add_argument(option(name), type=read, metavar=metavar, choices=choices, help=text)


def _default(name: str) -> str:
    """Return the number of `resnet50.recipes.folder.FINE_TUNED` as it is typed."""
    owner: Any = next(each for each in (FINE_TUNED.last, FINE_TUNED, FINE_TUNED.augmentation) if hasattr(each, name))
    value = owner.flips if name == "flip" else getattr(owner, name)
    return "no" if value is False else "yes" if value is True else "none" if value is None else f"{value}"


def _value_type(name: str) -> Any:
    """Return the type of a number; that of ``str | None`` is ``str``."""
    members = [member for member in get_args(_TYPES[name]) if member is not type(None)]
    return members[0] if members else _TYPES[name]


def given(options: argparse.Namespace) -> dict[str, Any]:
    """Return the recipe options on the command line, by their names as typed."""
    names = ("variant", "thorough", "head_epochs", *NUMBERS)
    numbers = {option(name): value for name in names if (value := getattr(options, name)) is not None}
    return numbers | fit_options.given(options)


def read_recipe(task: Task, options: argparse.Namespace) -> Recipe:
    """Return the recipe that the options ask for; ``--epochs`` and the like change its last phase.

    Raises:
        FileNotFoundError: If the pretrained weights are not there.
        ValueError: If there is no such variant, a number is impossible, or two options exclude each other.
    """
    if options.thorough and options.min_error:
        raise ValueError("expected --thorough or --min-error, got both; --thorough sets it to 0.")
    numbers = {name: value for name in NUMBERS if (value := getattr(options, name)) is not None}
    recipe = choose_recipe(task.VARIANTS, variant=options.variant, weights=options.weights, depth=options.depth)
    frozen = options.head_epochs or options.trainable not in (None, "all")
    recipe = recipe.resized(options.image_size or recipe.image_size, one_size=frozen or options.head == "flatten")
    if options.weights is not None:
        numbers["weights"] = resolve_weights(options.weights)
    if options.head_epochs is not None:
        head = (Phase(epochs=options.head_epochs, trainable="head"),) if options.head_epochs else ()
        last = recipe.last if head else recipe.thorough().last  # an only phase is not left out
        recipe = recipe.change(phases=(*head, last))
    if numbers.get("validation_split") == 0:
        recipe = recipe.without_validation()
    if "epochs" in numbers:
        recipe = recipe.lasting(numbers.pop("epochs"))
    recipe = recipe.change(**numbers).thorough() if options.thorough else recipe.change(**numbers)
    return recipe.change(fit=fit_options.read_fit(options, usual_fit(recipe.weights)) or recipe.fit)
