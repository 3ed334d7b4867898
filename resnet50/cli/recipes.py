"""``resnet50 recipes``."""

from __future__ import annotations

import argparse
import inspect

from resnet50.recipes import RECIPES, find_task, find_variant


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("recipe", nargs="?", metavar="RECIPE", help="show this recipe whole: its text and every number")
    parser.add_argument("--variant", metavar="NAME", help="its numbers in this variant (scratch)")


def run(options: argparse.Namespace) -> int:
    """List the recipes, or print one."""
    if options.recipe:
        task = find_task(options.recipe)
        recipe = find_variant(task, options.variant or "scratch")
        print((inspect.getdoc(task) or "").replace("`", ""), recipe.to_json(), sep="\n\n")
    elif options.variant:
        raise ValueError(f"--variant {options.variant} says how a recipe is shown: name that too.")
    else:
        for name, task in RECIPES.items():
            print(f"{name:16}{(task.__doc__ or '').splitlines()[0]} Variants: {', '.join(task.VARIANTS)}.")
    return 0
