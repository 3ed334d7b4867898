"""``resnet50 train``."""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from resnet50.cli.quiet import import_keras
from resnet50.recipes import RECIPES, find_task
from resnet50.training.recipe import Phase, Recipe
from resnet50.training.run import RunFolder

RUNS = Path("runs")
"""Folder below which runs are put, in the current folder."""

OVERRIDES: dict[str, type] = {
    "epochs": int,
    "weights": str,
    "normalization": str,
    "trains": str,
    "freeze_statistics": bool,
    "batch_size": int,
    "learning_rate": float,
    "warmup_epochs": float,
    "schedule": str,
    "rate_factor": float,
    "rate_patience": int,
    "body_rate": float,
    "layer_decay": float,
    "patience": int,
    "weight_decay": float,
    "beta_2": float,
    "label_smoothing": float,
    "mixup": float,
    "cutmix": float,
    "balance_classes": bool,
    "average_epochs": int,
    "ema": float,
    "validation": float,
    "keep": str,
    "side": int,
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
    parser.add_argument("--data", metavar="DIR", help="folder with the pictures; else where the recipe has them")
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
    meanings = dict(re.findall(r"^ +(\w+): (.+)$", f"{Phase.__doc__}{Recipe.__doc__}", re.MULTILINE))
    for name, kind in OVERRIDES.items():
        word, text = f"--{name.replace('_', '-')}", meanings[name].replace("`", "").replace("%", "%%")
        if kind is bool:
            numbers.add_argument(word, action=argparse.BooleanOptionalAction, help=text)
        else:
            numbers.add_argument(word, type=kind, metavar=kind.__name__.upper(), help=text)


def run(options: argparse.Namespace) -> int:
    """Train or resume, showing progress, and print where everything is."""
    overrides = {name: value for name in OVERRIDES if (value := getattr(options, name)) is not None}
    if options.resume:
        _refuse_with_resume(options, overrides)
        recipe, environment = RunFolder(Path(options.resume)).read()
        task = find_task(recipe.name)
        data = options.data or environment["data"]["path"]
    elif options.recipe:
        task = find_task(options.recipe)
        if Path(overrides.get("weights", "")).is_file():
            overrides["weights"] = str(Path(overrides["weights"]).absolute())  # to be found on a resume from elsewhere
        if options.head_epochs is not None:
            overrides["before"] = (Phase(epochs=options.head_epochs, trains="head"),) if options.head_epochs else ()
        recipe = task.RECIPE.lasting(overrides.pop("epochs", task.RECIPE.epochs))
        recipe, data = replace(recipe, **overrides), options.data
    else:
        raise ValueError(f"needed a recipe, one of {', '.join(RECIPES)}, or --resume RUN, got neither.")
    training, test = task.load(data)

    import_keras()
    import keras

    from resnet50.cli.progress import EpochTable, show_run
    from resnet50.training.fit import resume, train

    table = EpochTable(recipe.phases)
    words = f"{training.dataset}: {len(training)} pictures to train with, {len(test)} to test, seed {recipe.seed}"
    out = options.resume or options.out or RUNS / f"{recipe.name}-{datetime.now():%Y%m%d-%H%M%S}"
    logs = RunFolder(Path(out)).tensorboard
    shown = []
    if options.tensorboard or (options.resume and logs.is_dir()):
        shown.append(keras.callbacks.TensorBoard(logs, write_graph=False))
    print(f"{'Resuming' if options.resume else 'Training in'} {out}. {words}", flush=True)
    try:
        if options.resume:
            finished = resume(out, training, test, callbacks=shown, progress=table)
        else:
            finished = train(recipe, training, test, out=out, callbacks=shown, progress=table, data=data)
    except KeyboardInterrupt:
        print(f"Stopped. To go on: resnet50 train --resume {out}", file=sys.stderr)
        raise
    finally:
        table.close()
    show_run(finished)
    return 0


def _refuse_with_resume(options: argparse.Namespace, overrides: dict[str, Any]) -> None:
    given = [*(["RECIPE"] if options.recipe else []), *(["--out"] if options.out else [])]
    given += ["--head-epochs"] if options.head_epochs is not None else []
    given += [f"--{name.replace('_', '-')}" for name in overrides]
    if given:
        raise ValueError(f"a resumed run keeps its own recipe and folder: leave out {', '.join(given)}.")
