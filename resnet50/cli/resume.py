"""``resnet50 train --resume``."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from resnet50.cli import read_options, recipe_options, source
from resnet50.cli.console import step
from resnet50.cli.model import load_keras
from resnet50.cli.running import announce, finish, tensorboard


def resume_run(options: argparse.Namespace) -> int:
    """Resume an interrupted run on the images that it recorded, or on the same images in a new place.

    Raises:
        ValueError: If other options come with ``--resume``, or the run's source is not known.
    """
    _refuse_options(options)
    from resnet50.training.recorded_images import load_recorded, recorded_source
    from resnet50.training.run import RunDirectory

    folder = RunDirectory(Path(options.resume))
    record = folder.read()
    images = recorded_source(record.recipe.name, record)
    if images is None:
        raise ValueError(f"{folder.path}: expected a run that recorded its source, got one without; resume in Python.")
    if options.data:
        splits = source.load(
            replace(images, path=source.place(options.data)), image_size=record.recipe.image_size, fit=record.recipe.fit
        )
    else:
        with step("reading images") as progress:
            splits = load_recorded(images, record.recipe.image_size, fit=record.recipe.fit, progress=progress)
    announce(f"Resuming {folder.path}", record.recipe, splits)

    load_keras()
    from resnet50.training.train import resume

    callbacks = tensorboard(folder) if options.tensorboard or folder.tensorboard.is_dir() else []
    return finish(folder, lambda: resume(folder.path, splits, callbacks=callbacks))


def _refuse_options(options: argparse.Namespace) -> None:
    values = {"TASK_OR_PATH": options.task, "--out": options.out, **recipe_options.given(options)}
    values |= {read_options.option(name): value for name, value in read_options.given(options).items()}
    if named := [name for name, value in values.items() if value is not None]:
        raise ValueError(
            f"expected --resume without {', '.join(named)}: a run has its own recipe and folder; leave them out."
        )
