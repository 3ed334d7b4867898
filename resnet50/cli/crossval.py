"""``resnet50 crossval``."""

from __future__ import annotations

import argparse
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from resnet50._io.files import check_writable
from resnet50.cli import fit_options, pretrained, recipe_options, source
from resnet50.cli.console import show, step
from resnet50.cli.model import load_keras
from resnet50.cli.out import reserved_folder, run_name
from resnet50.cli.parser import examples, number
from resnet50.inference.locate import RUNS
from resnet50.recipes import find_task

if TYPE_CHECKING:
    from resnet50.datasets.source import DataSource
    from resnet50.training.recipe import Recipe

_OF_FEATURES = {
    *("--variant", "--weights", "--normalization", "--image-size", "--precision", "--class-weight", "--seed"),
    *("--depth", "--stem", "--form", "--conventions"),
}
"""Options of a recipe that features and linear heads depend on, beside those of the fit."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.usage = "resnet50 crossval TASK_OR_PATH [PATH] [options]"
    parser.epilog = examples(
        "resnet50 crossval photos                    a linear head on frozen features, in seconds",
        "resnet50 crossval photos --seeds 5          five cuts into folds",
        "resnet50 crossval photos --full --out runs/crossval-photos",
    )
    source.add_source_arguments(parser)
    parser.add_argument("--folds", type=number(int, 2), default=5, metavar="INT", help="Number of folds. Default: 5.")
    parser.add_argument(
        "--seeds",
        type=number(int, 1),
        default=1,
        metavar="INT",
        help="Number of repetitions, each with other folds: the seeds from --seed on. Default: 1.",
    )
    parser.add_argument(
        "--full",
        action="store_true",
        help="Train the whole recipe for each fold, each as a run in the folder; the same command with --out resumes.",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        help=f"Folder for crossval.html, crossval.json and predictions.csv; earlier ones are replaced. Default: a new "
        f"one in {RUNS}/.",
    )
    pretrained.add_arguments(parser, otherwise="train from scratch with --full, else end with an error,")
    recipe_options.add_recipe_options(parser)


def run(options: argparse.Namespace) -> int:
    """Cross-validate, write the page and the tables, and print the scores."""
    _check_options(options)
    if options.out:
        check_writable(Path(options.out) / "crossval.html")
    images = source.find_source(options)
    task = find_task(images.task)
    pretrained.offer_weights(task, options, scratch=options.full)
    recipe = recipe_options.read_recipe(task, options)
    name = run_name(images, recipe.name, kind="crossval-")
    with nullcontext(Path(options.out)) if options.out else reserved_folder(RUNS / name) as out:
        return _run_in(out, images, recipe, options)


def _check_options(options: argparse.Namespace) -> None:
    unused = sorted(set(recipe_options.given(options)) - set(fit_options.given(options)) - _OF_FEATURES)
    if unused and not options.full:
        raise ValueError(
            f"expected --full with {', '.join(unused)}, got a linear head on frozen features, which has no such "
            "number; give --full, or leave them out."
        )


def _run_in(out: Path, images: DataSource, recipe: Recipe, options: argparse.Namespace) -> int:
    from resnet50.training.variants import choose_fit

    splits = source.load(images, image_size=recipe.image_size, fit=choose_fit(recipe, images))
    load_keras()
    from resnet50.evaluation.cross_validate import cross_validate

    seeds = range(recipe.seed, recipe.seed + options.seeds)
    with step("cross-validating", lines=options.full) as progress:
        result = cross_validate(
            recipe, splits, folds=options.folds, seeds=seeds, runs=out if options.full else None, progress=progress
        )
    from resnet50.cli.report import show_cross_validation
    from resnet50.reports.cross_validation import PAGE, write_cross_validation

    with step("writing the page"):
        write_cross_validation(out, result)
    show_cross_validation(result)
    show(out / PAGE)
    return 0
