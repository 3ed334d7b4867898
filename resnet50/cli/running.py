"""Shared steps of starting and resuming a run."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resnet50.cli.console import say, show
from resnet50.inference.locate import resume_command

if TYPE_CHECKING:
    from resnet50.data.share import Share
    from resnet50.data.splits import DatasetSplits
    from resnet50.training.recipe import Recipe
    from resnet50.training.run import RunDirectory
    from resnet50.training.train import Run


def add_hosts_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--hosts``, which `join` reads."""
    parser.add_argument(
        "--hosts",
        metavar="ADDRESS,COUNT,INDEX",
        help="Train together with other processes (JAX): address and port of the first, their number, and that of this "
        "one from 0; auto to let JAX find them, or none to train alone. Default: all that srun or mpirun started.",
    )


def join(options: argparse.Namespace) -> Share:
    """Join the other processes of a training; only the first of them prints.

    Raises:
        ValueError: If they cannot be joined.
    """
    from resnet50.training.devices import join_cluster

    share = join_cluster(options.hosts)
    if share.rank:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - as long as the process lives
    return share


def is_alone(options: argparse.Namespace) -> bool:
    """Return whether this process trains a new run alone, before images are read and Keras is loaded.

    Raises:
        ValueError: If ``--hosts`` is none of its values, a launcher does not say where the first process is, or several
            processes have no name of one folder.
    """
    from resnet50.training.launchers import find_launcher, parse_hosts

    if options.hosts is None:
        alone = find_launcher(os.environ) is None
    else:
        alone = options.hosts == "none" or (options.hosts != "auto" and parse_hosts(options.hosts)[1] == 1)
    if not (alone or options.out):
        raise ValueError(
            "expected --out where several processes may train together, got none; give all of them the same folder."
        )
    return alone


def announce(action: str, recipe: Recipe, splits: DatasetSplits) -> None:
    """Print the action, and the number of images."""
    counts = ", ".join(f"{len(dataset):,} {split}" for split, dataset in splits.by_name.items())
    share = recipe.validation_split
    held_out = f" ({share:.0%} of train held out for validation)" if share and splits.validation is None else ""
    if not share and splits.validation is None and len(recipe.phases) > 1:
        held_out = " (none held out for validation, so every phase is trained)"
    say(f"{action}. {splits['train'].name}, images: {counts}{held_out}. Seed {recipe.seed}.")
    groups = {group for dataset in splits.by_name.values() for group in dataset.groups if group.endswith("/")}
    if groups:
        say(f"Each of {len(groups):,} subfolders, such as {min(groups)}, stays in one split; --no-groups ends that.")
    sys.stdout.flush()


def tensorboard(folder: RunDirectory) -> list[Any]:
    """Return the callback that writes logs for TensorBoard into a run."""
    import keras

    return [keras.callbacks.TensorBoard(folder.tensorboard, write_graph=False)]


def finish(folder: RunDirectory, train: Callable[[], Run]) -> int:
    """Train, and print the scores; or print how to resume, where it is interrupted."""
    from resnet50.cli.report import show_run

    try:
        run = train()
    except (KeyboardInterrupt, SystemExit):  # Ctrl-C, or another signal that ends the process
        show(_stopped(folder), file=sys.stderr)
        raise
    show_run(run)
    return 0


def _stopped(folder: RunDirectory) -> str:
    from resnet50.training.checkpoint import finished_epochs

    if not folder.recipe.exists():
        return "Stopped before the training began; nothing was written. Give the same command again."
    finished, command = finished_epochs(folder.checkpoint), resume_command(folder.path)
    if not finished:
        return f"Stopped before the first epoch was finished, so there is no state yet. To start over: {command}"
    epochs = f"{finished} of {folder.read().recipe.epochs}"
    return f"Stopped. The state after epoch {epochs} is stored, what came after it is lost. To resume: {command}"
