"""``resnet50 recipes``."""

from __future__ import annotations

import argparse
import inspect

from resnet50.cli.console import say, show, show_json
from resnet50.cli.parser import examples
from resnet50.recipes import RECIPES, find_task
from resnet50.training.variants import FINE_TUNED, SCRATCH, find_variant


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.epilog = examples("resnet50 recipes", "resnet50 recipes rocks", "resnet50 recipes rocks --variant scratch")
    parser.add_argument(
        "task", nargs="?", metavar="TASK", help="Show all numbers of this task. Default: list all tasks."
    )
    parser.add_argument(
        "--variant", metavar="NAME", help="Variant to show. Default: fine-tuned if the task has it, else scratch."
    )


def run(options: argparse.Namespace) -> int:
    """List the tasks, or print the numbers of one."""
    if options.task:
        task = find_task(options.task)
        usual = FINE_TUNED if FINE_TUNED in task.VARIANTS else SCRATCH
        recipe = find_variant(task.VARIANTS, options.variant or usual)
        say(*_paragraphs(inspect.getdoc(task) or "").split("\n"))
        show("", f"Variant {options.variant or usual}:")
        show_json(recipe.to_json())
    elif options.variant:
        raise ValueError(f"--variant {options.variant}: expected the task that it is a variant of, got none.")
    else:
        for name, task in RECIPES.items():
            first = (task.__doc__ or "").splitlines()[0]
            say(f"{name:16}{first} Variants: {', '.join(task.VARIANTS)}.", indent=16)
    return 0


def _paragraphs(doc: str) -> str:
    """Return a docstring without backquotes, each paragraph on one line, to be wrapped at the terminal's width."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in doc.replace("`", "").split("\n\n"))
