"""``resnet50 rates``."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from resnet50._io.quiet import import_keras
from resnet50.cli import source
from resnet50.cli.bars import bar
from resnet50.recipes import RECIPES, find_task


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("recipe", metavar="RECIPE", help=f"one of {', '.join(RECIPES)}")
    source.add_source_arguments(parser)
    parser.add_argument(
        "--out",
        default="rates.png",
        metavar="PNG",
        help="file to draw the curve into (rates.png); an earlier one is replaced",
    )
    parser.add_argument("--steps", type=int, default=100, metavar="INT", help="steps from 1e-6 to 1 (100)")
    parser.add_argument("--batch-size", type=int, metavar="INT", help="images in a step, instead of the recipe's")
    parser.add_argument("--seed", type=int, metavar="INT", help="seed, instead of the recipe's")


def run(options: argparse.Namespace) -> int:
    """Let the rate rise, showing progress, draw the curve and print the suggestion."""
    task = find_task(options.recipe)
    overrides = {name: value for name in ("batch_size", "seed") if (value := getattr(options, name)) is not None}
    recipe = replace(task.RECIPE, **overrides)
    splits = source.load(task, source.place(options), image_size=recipe.image_size, how=source.how_to_read(options))
    training = splits.train

    import_keras()
    from resnet50.plots.save import save_figure
    from resnet50.plots.training import draw_lr_curve
    from resnet50.training.lr_finder import find_learning_rate

    with bar("steps") as show:
        curve = find_learning_rate(recipe, training, steps=options.steps, progress=show)
    words = f"{training.name}, batches of {recipe.batch_size}, seed {recipe.seed}"
    save_figure(draw_lr_curve(curve, title=words), Path(options.out))
    print(options.out)
    print(f"{words}: the loss falls up to a learning rate of {curve.suggestion:.2g}")
    return 0
