"""``resnet50 train --resume``."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from resnet50.cli import read_options, recipe_options, source
from resnet50.cli.console import step
from resnet50.cli.hosts import join
from resnet50.cli.model import load_keras
from resnet50.cli.running import announce, finish, tensorboard

if TYPE_CHECKING:
    from resnet50.training.run import RunDirectory


def resume_run(options: argparse.Namespace) -> int:
    """Resume an interrupted run on the images that it recorded, or on the same images in a new place.

    Raises:
        ValueError: If other options come with ``--resume``, or the run's source is not known.
    """
    _refuse_options(options)
    from resnet50.inference.recorded_images import load_recorded, training_source
    from resnet50.training.run import RunDirectory

    folder = RunDirectory(Path(options.resume))
    record = folder.read()
    images = training_source(record.recipe.name, record.source)
    if images is None:
        raise ValueError(f"{folder.path}: expected a run that recorded its source, got one without; resume in Python.")
    if options.epochs is not None:  # refuse what cannot be done before reading images
        load_keras()
        from resnet50.training.extension import extend

        extend(folder, record, options.epochs)
    if options.data:
        splits = source.load(
            replace(images, path=source.place(options.data)), image_size=record.recipe.image_size, fit=record.recipe.fit
        )
    else:
        with step("reading images") as progress:
            splits = load_recorded(images, record.recipe.image_size, fit=record.recipe.fit, progress=progress)
    load_keras()
    share = join(options)
    announce(_begins(folder, options.epochs or record.recipe.epochs), record.recipe, splits)
    from resnet50.training.train import resume

    logs = not share.rank and (options.tensorboard or folder.tensorboard.is_dir())
    callbacks = tensorboard(folder) if logs else []
    return finish(folder, lambda: resume(folder.path, splits, epochs=options.epochs, callbacks=callbacks))


def _begins(folder: RunDirectory, epochs: int) -> str:
    from resnet50.training.checkpoint import finished_epochs

    finished = finished_epochs(folder.checkpoint)
    if not finished and folder.report.exists():
        return f"Fitting the linear probe of {folder.path} again"
    if not finished:
        return f"Starting {folder.path} over, since it has no checkpoint"
    return f"Resuming {folder.path} after epoch {finished} of {epochs}"


def _refuse_options(options: argparse.Namespace) -> None:
    values = {"TASK_OR_PATH": options.task, "--out": options.out, **recipe_options.given(options)}
    values |= {f"--{name}": getattr(options, name) or None for name in ("yes", "offline")}
    values.pop("--epochs", None)  # trains a finished run on
    values |= {read_options.option(name): value for name, value in read_options.given(options).items()}
    if named := [name for name, value in values.items() if value is not None]:
        raise ValueError(
            f"expected --resume without {', '.join(named)}: a run has its own recipe and folder; leave them out."
        )
