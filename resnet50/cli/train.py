"""``resnet50 train``."""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from resnet50._io.quiet import import_keras
from resnet50.cli import source
from resnet50.cli.model import RUNS
from resnet50.recipes import RECIPES, Task, find_task, find_variant
from resnet50.training.recipe import Phase, Recipe

NO_WEIGHTS = "none"
"""What ``--weights`` says to begin with random ones."""

OVERRIDES: dict[str, type] = {
    "epochs": int,
    "weights": str,
    "normalization": str,
    "trainable": str,
    "freeze_batch_norm": bool,
    "batch_size": int,
    "learning_rate": float,
    "warmup_epochs": float,
    "schedule": str,
    "lr_factor": float,
    "lr_patience": int,
    "backbone_lr_multiplier": float,
    "layer_lr_decay": float,
    "patience": int,
    "weight_decay": float,
    "beta_2": float,
    "label_smoothing": float,
    "mixup": float,
    "cutmix": float,
    "balance_classes": bool,
    "swa_epochs": int,
    "ema": float,
    "validation": float,
    "keep": str,
    "image_size": int,
    "head": str,
    "stem": str,
    "conventions": str,
    "precision": str,
    "checkpoint_epochs": int,
    "seed": int,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments; a recipe's numbers are explained in the words of its docstring."""
    parser.add_argument("recipe", nargs="?", metavar="RECIPE", help=f"one of {', '.join(RECIPES)}")
    source.add_source_arguments(parser)
    parser.add_argument(
        "--variant",
        metavar="NAME",
        help="scratch, fine-tuned or classic, as far as the recipe has them; else fine-tuned where there are weights "
        "to begin with, and scratch where there are none",
    )
    parser.add_argument("--out", metavar="DIR", help=f"folder of the run; else a new one in {RUNS}/")
    parser.add_argument("--resume", metavar="RUN", help="go on with the run in this folder, whatever stopped it")
    parser.add_argument(
        "--tensorboard", action="store_true", help="also write logs for TensorBoard into the run's folder"
    )
    parser.add_argument(
        "--head-epochs",
        type=int,
        metavar="INT",
        help="first train the head alone for so many epochs, along a cosine from 1e-3, in place of the recipe's phases "
        "before the last; 0 for none",
    )
    numbers = parser.add_argument_group("numbers to use instead of the recipe's")
    fields = re.compile(r"^ {4}(\w+): (.+(?:\n {8}.+)*)", re.MULTILINE)
    meanings = dict(fields.findall(f"{inspect.getdoc(Phase)}\n{inspect.getdoc(Recipe)}"))
    for name, kind in OVERRIDES.items():
        word, text = f"--{name.replace('_', '-')}", " ".join(meanings[name].split()).replace("`", "").replace("%", "%%")
        if kind is bool:
            numbers.add_argument(word, action=argparse.BooleanOptionalAction, help=text)
        else:
            numbers.add_argument(word, type=kind, metavar=kind.__name__.upper(), help=text)


def run(options: argparse.Namespace) -> int:
    """Train or resume, showing progress, and print where everything is."""
    from resnet50.training.run import RunDirectory

    overrides = {name: value for name in OVERRIDES if (value := getattr(options, name)) is not None}
    if options.resume:
        _refuse_with_resume(options, overrides)
        recipe, environment = RunDirectory(Path(options.resume)).read()
        noted = environment["data"]  # a run that Python began need not say where its images are
        task, how = find_task(noted.get("task", recipe.name)), noted.get("how", {})
        data = source.place(options)
    elif options.recipe:
        task = find_task(options.recipe)
        recipe = choose(task, options.variant, overrides.get("weights"))
        if overrides.get("weights") == NO_WEIGHTS:
            overrides["weights"] = None
        elif Path(overrides.get("weights", "")).is_file():
            overrides["weights"] = str(Path(overrides["weights"]).absolute())  # to be found on a resume from elsewhere
        if options.head_epochs is not None:
            overrides["before"] = (Phase(epochs=options.head_epochs, trainable="head"),) if options.head_epochs else ()
        recipe = replace(recipe.lasting(overrides.pop("epochs", recipe.epochs)), **overrides)
        data, how = source.place(options), source.how_to_read(options)
    else:
        raise ValueError(f"expected a recipe, one of {', '.join(RECIPES)}, or --resume RUN, got neither.")
    out = options.resume or options.out or RUNS / f"{recipe.name}-{datetime.now():%Y%m%d-%H%M%S}"
    folder = RunDirectory(Path(out))
    if not options.resume:
        folder.check_new()
    if options.resume and data is None:
        splits = source.load_noted(task, noted, image_size=recipe.image_size, how=how)
    else:
        splits = source.load(task, data, image_size=recipe.image_size, how=how)

    import_keras()
    import keras

    from resnet50.cli.progress import EpochTable, show_run
    from resnet50.training.train import resume, train

    table = EpochTable(recipe.phases)
    shown = []
    if options.tensorboard or (options.resume and folder.tensorboard.is_dir()):
        shown.append(keras.callbacks.TensorBoard(folder.tensorboard, write_graph=False))
    usual = _usual_weights(task)
    if usual and not (options.resume or options.variant or options.weights or recipe.weights):
        print(f"From scratch, since the weights {usual} are not here; 'resnet50 weights fetch {usual}' fetches them.")
    counts = ", ".join(f"{len(dataset):,} for {split}" for split, dataset in splits.splits.items())
    held_out = f" ({recipe.validation:.0%} of training held out)" if recipe.validation and not splits.validation else ""
    words = f"{splits.train.name}, images: {counts}{held_out}. Seed {recipe.seed}."
    print(f"{'Resuming' if options.resume else 'Training in'} {out}. {words}", flush=True)
    try:
        if options.resume:
            finished = resume(out, splits, callbacks=shown, progress=table)
        else:
            noted = {"task": task.RECIPE.name, "path": data, "how": how}
            finished = train(recipe, splits, out=out, callbacks=shown, progress=table, data=noted)
    except KeyboardInterrupt:
        print(f"Stopped. To go on: resnet50 train --resume {out}", file=sys.stderr)
        raise
    finally:
        table.close()
    show_run(finished)
    return 0


def choose(task: Task, variant: str | None, weights: str | None) -> Recipe:
    """Return the variant that was named, or the one for the weights that were named or are at hand.

    Raises:
        ValueError: If the recipe has no such variant.
        FileNotFoundError: If the variant begins with weights that are not at hand; nothing is fetched unasked.
    """
    if variant is None:
        usual = _usual_weights(task)
        wanted = bool(usual and _at_hand(usual)) if weights is None else weights != NO_WEIGHTS
        return task.VARIANTS["fine-tuned"] if wanted and "fine-tuned" in task.VARIANTS else task.RECIPE
    chosen = find_variant(task, variant)
    if weights is None and chosen.weights and not _at_hand(chosen.weights):
        raise FileNotFoundError(
            f"{task.RECIPE.name} {variant}: expected the weights {chosen.weights}, which are not here; run 'resnet50 "
            f"weights fetch {chosen.weights}', or name a file or {NO_WEIGHTS} by --weights."
        )
    return chosen


def _usual_weights(task: Task) -> str | None:
    """Return the weights that the task is usually fine-tuned from, if any."""
    tuned = task.VARIANTS.get("fine-tuned")
    return tuned.weights if tuned else None


def _at_hand(weights: str) -> bool:
    from resnet50.weights.fetch import weights_folder
    from resnet50.weights.registry import find_published

    published = find_published(weights)
    return (weights_folder(published) / published.download.name).is_file()


def _refuse_with_resume(options: argparse.Namespace, overrides: dict[str, Any]) -> None:
    given = [*(["RECIPE"] if options.recipe else []), *(["--out"] if options.out else [])]
    others = ("variant", "head_epochs", *source.OPTIONS)
    given += [
        f"--{name.replace('_', '-')}"
        for name in (*(name for name in others if getattr(options, name) is not None), *overrides)
    ]
    if given:
        raise ValueError(f"a resumed run keeps its own recipe and folder: leave out {', '.join(given)}.")
