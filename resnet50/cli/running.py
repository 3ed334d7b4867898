"""Shared steps of starting and resuming a run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from resnet50.cli.console import say, show
from resnet50.inference.locate import resume_command

if TYPE_CHECKING:
    from resnet50.data.splits import DatasetSplits
    from resnet50.training.recipe import Recipe
    from resnet50.training.run import RunDirectory
    from resnet50.training.train import Run


def announce(action: str, recipe: Recipe, splits: DatasetSplits, *, thorough: bool = False) -> None:
    """Print the action, the numbers of images, their size in training if it differs, and a useless ``--thorough``."""
    counts = ", ".join(f"{len(dataset):,} {split}" for split, dataset in splits.by_name.items())
    share = recipe.validation_split
    held_out = f" ({share:.0%} of train held out for validation)" if share and splits.validation is None else ""
    if not share and splits.validation is None and len(recipe.phases) > 1:
        held_out = " (none held out for validation, so every phase is trained)"
    say(f"{action}. {splits['train'].name}, images: {counts}{held_out}. Seed {recipe.seed}.")
    groups = {group for dataset in splits.by_name.values() for group in dataset.groups if group.endswith("/")}
    if groups:
        say(f"Each of {len(groups):,} subfolders, such as {min(groups)}, stays in one split; --no-groups ends that.")
    if recipe.train_image_size:
        training, whole = (f"{size} x {size} pixels" for size in (recipe.train_image_size, recipe.image_size))
        say(f"Images are {training} in training and validation, and {whole} afterwards.")
    if thorough and len(recipe.phases) == 1:
        say("--thorough changes nothing here: the recipe has one phase, which is always trained.")
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
