"""``resnet50 train``."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resnet50.cli import recipe_options, source
from resnet50.cli.console import say
from resnet50.cli.model import RUNS, load_keras
from resnet50.cli.parser import examples
from resnet50.recipes import RECIPES, find_task

if TYPE_CHECKING:
    from resnet50.data.dataset import DatasetSplits
    from resnet50.training.recipe import Recipe
    from resnet50.training.run import RunDirectory


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments; those of a recipe's numbers come from its fields."""
    parser.epilog = examples(
        "resnet50 train photos                          a folder with one folder per class",
        "resnet50 train rendered-signs                  no data needed",
        "resnet50 train signs --data signs --epochs 30  a task, with another number",
        "resnet50 train photos --weights imagenet       fine-tune published weights",
        "resnet50 train --resume runs/photos-20260102-030405",
    )
    source.add_source_arguments(parser, required=False)
    parser.add_argument("--out", metavar="DIR", help=f"Folder of the run. Default: a new one in {RUNS}/.")
    parser.add_argument("--resume", metavar="RUN", help="Resume the interrupted run in this folder.")
    parser.add_argument("--tensorboard", action="store_true", help="Also write logs for TensorBoard into the run.")
    recipe_options.add_recipe_options(parser)


def run(options: argparse.Namespace) -> int:
    """Train or resume, showing progress, and print where everything is."""
    if options.resume:
        return _resume(options)
    if options.task:
        return _train(options)
    raise ValueError(
        f"expected a task, one of {', '.join(RECIPES)}, or a folder, CSV file or h5 file of images, or --resume RUN, "
        "got nothing; see 'resnet50 train --help'."
    )


def _train(options: argparse.Namespace) -> int:
    from resnet50.training.run import RunDirectory

    images = source.find_source(options)
    recipe = recipe_options.read_recipe(find_task(images.task), options)
    out = Path(options.out or RUNS / f"{recipe.name}-{datetime.now():%Y%m%d-%H%M%S}")
    folder = RunDirectory(out)
    folder.check_new()
    splits = source.load(images, image_size=recipe.image_size)
    _say_weights(recipe, options)
    _say_start(f"Training in {out}", recipe, splits)

    load_keras()
    from resnet50.training.train import train

    callbacks = _tensorboard(folder) if options.tensorboard else []
    return _finish(out, train, recipe, splits, out=out, source=images, callbacks=callbacks)


def _resume(options: argparse.Namespace) -> int:
    from resnet50.evaluation.recorded_images import load_recorded, recorded_source
    from resnet50.training.run import RunDirectory

    _refuse_with_resume(options)
    out = Path(options.resume)
    folder = RunDirectory(out)
    record = folder.read()
    images = recorded_source(record.recipe.name, record)
    if images is None:
        raise ValueError(f"{out}: expected a run that recorded its source, got one begun in Python; resume it there.")
    if options.data:
        images = replace(images, path=source.place(options.data))
    with source.step("reading images") as progress:
        splits = load_recorded(images, record.recipe.image_size, progress=progress)
    _say_start(f"Resuming {out}", record.recipe, splits)

    load_keras()
    from resnet50.training.train import resume

    callbacks = _tensorboard(folder) if options.tensorboard or folder.tensorboard.is_dir() else []
    return _finish(out, resume, out, splits, callbacks=callbacks)


def _finish(out: Path, function: Any, *arguments: Any, **options: Any) -> int:
    """Train, and print the scores; or print how to resume, if it is interrupted."""
    from resnet50.cli.report import show_run

    try:
        finished = function(*arguments, **options)
    except KeyboardInterrupt:
        print(f"Stopped. To resume: resnet50 train --resume {out}", file=sys.stderr)
        raise
    show_run(finished)
    return 0


def _say_weights(recipe: Recipe, options: argparse.Namespace) -> None:
    """Print that pretrained weights would help, where they would be taken if they were cached."""
    from resnet50.recipes.choosing import usual_weights

    usual = usual_weights(find_task(recipe.name))
    if usual and not (options.variant or options.weights or recipe.weights):
        say(f"From scratch, since the weights {usual} are not cached; 'resnet50 weights fetch {usual}' fetches them.")


def _say_start(words: str, recipe: Recipe, splits: DatasetSplits) -> None:
    counts = ", ".join(f"{len(dataset):,} {split}" for split, dataset in splits.by_name.items())
    share = recipe.validation_split
    held_out = f" ({share:.0%} of train held out for validation)" if share and splits.validation is None else ""
    say(f"{words}. {splits['train'].name}, images: {counts}{held_out}. Seed {recipe.seed}.")
    sys.stdout.flush()


def _tensorboard(folder: RunDirectory) -> list[Any]:
    import keras

    return [keras.callbacks.TensorBoard(folder.tensorboard, write_graph=False)]


def _refuse_with_resume(options: argparse.Namespace) -> None:
    values = {"TASK": options.task, "--out": options.out, **recipe_options.given(options)}
    values |= {source.option(name): value for name, value in source.given(options).items()}
    if named := [name for name, value in values.items() if value is not None]:
        raise ValueError(f"expected --resume without {', '.join(named)}, since a run has its own recipe and folder.")
