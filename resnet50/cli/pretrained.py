"""The offer of ``resnet50 train`` to fetch the pretrained weights that a recipe starts from."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from resnet50.cli.console import say, step
from resnet50.cli.question import can_ask, confirm

if TYPE_CHECKING:
    from resnet50.recipes import Task
    from resnet50.weights.registry import PublishedWeights

# benchmarks/results/tasks-cats-dogs.json
_COST = "Training from scratch is less accurate where images are few: 74% with 500 photos of cats and dogs."
_CHOICES = (
    "give --yes to fetch them, --weights FILE to start from others, or --offline or --weights none to train from "
    "scratch"
)
_FEATURES = "their features are used; give --yes to fetch them, or --weights FILE to take others."


def add_arguments(parser: argparse._ActionsContainer, *, otherwise: str = "train from scratch") -> None:
    """Add the options that answer the question beforehand; ``otherwise`` is what happens without weights."""
    answers = parser.add_mutually_exclusive_group()
    answers.add_argument("--yes", action="store_true", help="Fetch pretrained weights without asking.")
    answers.add_argument(
        "--offline", action="store_true", help=f"Fetch nothing; {otherwise} if no pretrained weights are cached."
    )


def offer_weights(task: Task, options: argparse.Namespace, *, scratch: bool = True) -> None:
    """Fetch the pretrained weights that a training starts from, after a yes; after a no, set ``options.weights``.

    Nothing happens where they are cached, or nothing published is needed. Weights that ``--weights`` names are fetched
    without a question. Without `scratch`, the command needs their features, and no answer begins without them. A
    variant that ``--variant`` names has no replacement: `read_recipe` refuses it without weights.

    Raises:
        ValueError: If a number of the recipe is impossible; or the weights are not cached, there is no terminal to ask
            in, and no option answers.
        OSError: If they cannot be fetched.
    """
    from resnet50.cli.recipe_options import read_recipe
    from resnet50.training.variants import NO_WEIGHTS
    from resnet50.weights.status import is_cached

    weights = _needed(task, options)
    if weights is None or is_cached(weights):
        return
    if not options.offline:  # before a question for nothing
        read_recipe(task, argparse.Namespace(**vars(options) | {"weights": weights.name}))
    if options.weights is not None:
        _fetch_named(weights, options)
    elif not scratch and not options.yes and (options.offline or not can_ask()):
        raise ValueError(f"expected {_describe(weights)} in the cache, got none; {_FEATURES}")
    elif options.yes or _agrees(weights, options):
        fetch(weights)
    elif options.variant is None:
        options.weights = NO_WEIGHTS


def _needed(task: Task, options: argparse.Namespace) -> PublishedWeights | None:
    """Return the published weights that a training starts from, if any."""
    from resnet50.training.variants import FINE_TUNED, NO_WEIGHTS
    from resnet50.weights.registry import REGISTRY, at_depth

    recipe = task.VARIANTS.get(options.variant or FINE_TUNED)
    usual = at_depth(recipe.weights, options.depth or 50) if recipe and recipe.weights else NO_WEIGHTS
    return REGISTRY.get(options.weights or usual)


def _fetch_named(weights: PublishedWeights, options: argparse.Namespace) -> None:
    if options.offline:
        raise ValueError(
            f"expected the weights {weights.name} in the cache, got none, and --offline fetches nothing; leave one of "
            "both options out."
        )
    fetch(weights)


def _agrees(weights: PublishedWeights, options: argparse.Namespace) -> bool:
    """Return whether to fetch weights: what an option says, or else the answer on the terminal."""
    about = _describe(weights)
    if options.variant is None:
        if options.offline:
            say(f"Training from scratch, since {about} are not in the cache. {_COST}")
        elif not can_ask():
            raise ValueError(f"expected {about} in the cache, got none; {_CHOICES}. {_COST}")
    if options.offline or not can_ask():
        return False
    say(f"The training starts from {about}. They are not in the cache.", *([] if options.variant else [_COST]))
    return confirm("Fetch them?", otherwise=_CHOICES)


def _describe(weights: PublishedWeights) -> str:
    size = f"{weights.download.size / 1e6:.0f} MB" if weights.download.size else "about 100 MB"
    accuracy = f", {weights.top1:g}% top-1 on ImageNet" if weights.top1 else ""
    return f"the pretrained weights {weights.name} (license {weights.license}, {size}{accuracy})"


def fetch(weights: PublishedWeights) -> None:
    """Fetch published weights with a progress bar, unless they are cached."""
    from resnet50.weights.fetch import fetch_weights

    with step(f"fetching {weights.name}", in_bytes=True) as progress:
        fetch_weights(weights.name, progress=progress)
