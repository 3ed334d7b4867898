"""``resnet50 lr-find``."""

from __future__ import annotations

import argparse
from pathlib import Path

from resnet50.cli import source
from resnet50.cli.console import say, show, step
from resnet50.cli.model import load_keras
from resnet50.cli.out import check_file
from resnet50.cli.parser import examples, number

_MIN_STEPS = 10  # as in `resnet50.training.lr_finder`, which loads Keras


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.epilog = examples("resnet50 lr-find photos", "resnet50 train photos --learning-rate 0.003")
    source.add_source_arguments(parser)
    parser.add_argument(
        "--out",
        default="lr-find.png",
        metavar="PNG",
        help="Figure to write; replaced if it exists. Default: lr-find.png.",
    )
    parser.add_argument(
        "--steps",
        type=number(int, _MIN_STEPS),
        default=100,
        metavar="INT",
        help="Steps in which the rate rises from 1e-6 to 1. Default: 100.",
    )
    parser.add_argument(
        "--batch-size", type=number(int), metavar="INT", help="Images in a step. Default: the recipe's."
    )
    parser.add_argument("--seed", type=number(int), metavar="INT", help="Seed. Default: the recipe's.")


def run(options: argparse.Namespace) -> int:
    """Raise the learning rate step by step, draw the loss and print a suggestion."""
    from resnet50.recipes import find_task
    from resnet50.training.variants import choose_fit

    images = source.find_source(options)
    numbers = {name: value for name in ("batch_size", "seed") if (value := getattr(options, name)) is not None}
    recipe = find_task(images.task).RECIPE.change(**numbers)
    check_file(options.out, ".png", ".svg", ".pdf")
    train = source.load(images, image_size=recipe.image_size, fit=choose_fit(recipe, images))["train"]

    load_keras()
    from resnet50.plots.save import save_figure
    from resnet50.plots.training import draw_lr_curve
    from resnet50.training.lr_finder import find_learning_rate

    with step("raising the learning rate") as progress:
        curve = find_learning_rate(recipe, train, steps=options.steps, progress=progress)
    heading = f"{train.name}, batches of {recipe.batch_size}, seed {recipe.seed}"
    save_figure(draw_lr_curve(curve, title=heading), Path(options.out))
    show(options.out)
    say(f"{heading}: the loss falls up to a learning rate of {curve.suggestion:.2g}")
    return 0
