"""The offer of ``resnet50 train`` to fetch the pretrained weights that a task is usually fine-tuned from."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from resnet50.cli.console import say, show, step
from resnet50.training.variants import FINE_TUNED, NO_WEIGHTS, usual_weights

if TYPE_CHECKING:
    from resnet50.recipes import Task
    from resnet50.weights.registry import PublishedWeights

_COST = (
    "Training from scratch costs accuracy where images are few: 74 % instead of 99 % of the test images of 500 photos "
    "of cats and dogs."
)
_CHOICES = "--yes to fetch them, --offline or --weights none to train from scratch, or --weights FILE for others"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that answer the question beforehand."""
    answers = parser.add_mutually_exclusive_group()
    answers.add_argument("--yes", action="store_true", help="Fetch the pretrained weights without asking.")
    answers.add_argument(
        "--offline", action="store_true", help="Fetch nothing; train from scratch where no weights are cached."
    )


def offer_weights(task: Task, options: argparse.Namespace) -> None:
    """Fetch the weights that a task is fine-tuned from, after a yes; after a no, set ``options.weights`` to none.

    Nothing happens where they are cached, or the options name a variant or weights.

    Raises:
        ValueError: If they are not cached, there is no terminal to ask in, and no option answers.
        OSError: If they cannot be fetched.
    """
    from resnet50.weights.registry import REGISTRY
    from resnet50.weights.status import is_cached

    usual = usual_weights(task.VARIANTS)
    asks = options.weights is None and options.variant in (None, FINE_TUNED)
    if not asks or usual is None or is_cached(REGISTRY[usual]):
        return
    about = _describe(REGISTRY[usual])
    if options.offline:
        say(f"From scratch: {about} are not in the cache. {_COST}")
        return
    if not options.yes and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ValueError(f"expected {about} in the cache, got none; give {_CHOICES}. {_COST}")
    if options.yes or _agrees(about):
        _fetch(usual)
    else:
        options.weights = NO_WEIGHTS


def _describe(weights: PublishedWeights) -> str:
    size = f"{weights.download.size / 1e6:.0f} MB" if weights.download.size else "100 MB"
    return f"the pretrained weights {weights.name} ({weights.license}, {size}, {weights.top1:g} % top-1 on ImageNet)"


def _agrees(about: str) -> bool:
    say(f"Fine-tuning starts from {about}, which are not in the cache. {_COST}")
    show("Fetch them? [Y/n] ")
    return input().strip().lower() in ("", "y", "yes")


def _fetch(name: str) -> None:
    from resnet50.weights.fetch import fetch_weights

    with step(f"fetching {name}", in_bytes=True) as progress:
        fetch_weights(name, progress=progress)
