"""``resnet50 train``."""

from __future__ import annotations

import argparse
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from resnet50.cli import pretrained, recipe_options, source
from resnet50.cli.hosts import add_hosts_option, is_alone, join
from resnet50.cli.model import load_keras
from resnet50.cli.out import reserved_folder, run_name
from resnet50.cli.parser import examples
from resnet50.cli.running import announce, finish, tensorboard
from resnet50.inference.locate import RUNS
from resnet50.recipes import RECIPES, find_task
from resnet50.training.recipe import Recipe

if TYPE_CHECKING:
    from resnet50.datasets.source import DataSource
    from resnet50.training.run import RunDirectory


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments; those of a recipe's numbers come from its fields."""
    parser.usage = "resnet50 train [TASK_OR_PATH] [PATH] [options]"
    parser.epilog = examples(
        "resnet50 train photos                          a folder with one folder per class",
        "resnet50 train rendered-signs                  no data needed",
        "resnet50 train signs --data signs --epochs 30  a task, with another number",
        "resnet50 train photos --yes --thorough         fetch weights, train every phase",
        "resnet50 train --resume runs/photos-20260102-030405",
    )
    source.add_source_arguments(parser, required=False)
    parser.add_argument("--out", metavar="DIR", help=f"Folder of the run. Default: a new one in {RUNS}/.")
    parser.add_argument(
        "--resume",
        metavar="RUN",
        help="Resume the interrupted run in this folder; --epochs trains a finished one on, to so many in all.",
    )
    pretrained.add_arguments(parser)
    parser.add_argument("--tensorboard", action="store_true", help="Also write logs for TensorBoard into the run.")
    add_hosts_option(parser)
    recipe_options.add_recipe_options(parser)


def run(options: argparse.Namespace) -> int:
    """Train or resume, showing progress, and print where everything is."""
    if options.resume:
        from resnet50.cli.resume import resume_run

        return resume_run(options)
    if options.task:
        return _train(options)
    raise ValueError(
        f"expected a task, one of {', '.join(RECIPES)}, or a folder, CSV file or h5 file of images, or --resume RUN, "
        "got nothing; see 'resnet50 train --help'."
    )


def _train(options: argparse.Namespace) -> int:
    from resnet50.training.run import RunDirectory

    images = source.find_source(options)
    task = find_task(images.task)
    alone = is_alone(options)
    if options.out:  # before a question for nothing
        folder = RunDirectory(Path(options.out))
        if alone:
            folder.check_new()
        else:
            folder.check_absent()  # the first alone must be able to write; it looks once all have joined
    pretrained.offer_weights(task, options)
    recipe = recipe_options.read_recipe(task, options)
    name = run_name(images, recipe.name)
    with nullcontext(Path(options.out)) if options.out else reserved_folder(RUNS / name) as out:
        return _train_in(RunDirectory(out), images, recipe, options, alone=alone)


def _train_in(
    folder: RunDirectory, images: DataSource, recipe: Recipe, options: argparse.Namespace, *, alone: bool
) -> int:
    from resnet50.training.variants import check_weights_file, choose_fit

    check_weights_file(recipe)
    splits = source.load(images, image_size=recipe.image_size, fit=choose_fit(recipe, images))
    action = f"Training in {folder.path}"
    if alone:
        announce(action, recipe, splits, thorough=bool(options.thorough))
    load_keras()
    share = join(options)
    if not alone:  # the first process alone prints
        announce(action, recipe, splits, thorough=bool(options.thorough))
    from resnet50.training.train import train

    callbacks = tensorboard(folder) if options.tensorboard and not share.rank else []
    return finish(folder, lambda: train(recipe, splits, out=folder.path, source=images, callbacks=callbacks))
