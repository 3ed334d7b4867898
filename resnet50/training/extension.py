"""Extension: a finished run is trained on in a further phase."""

from __future__ import annotations

from dataclasses import replace

from resnet50._io.shell import command
from resnet50.training.checkpoint import finished_epochs, is_finished, read_position
from resnet50.training.history import read_history
from resnet50.training.phases import LinearProbe
from resnet50.training.recipe import Recipe
from resnet50.training.record import RunRecord
from resnet50.training.run import RunDirectory


def extend(directory: RunDirectory, record: RunRecord, epochs: int) -> RunRecord:
    """Return the record of a finished run with a further phase, which lasts until the run has this many epochs.

    Schedules such as the cosine have ended, so the further phase has a schedule of its own: it is `Recipe.extended`.

    Raises:
        ValueError: If the run is not finished, has no checkpoint, or has as many epochs already.
    """
    finished = finished_epochs(directory.checkpoint)
    if not is_finished(directory.checkpoint, record.recipe) and not _ends_without_checkpoint(directory, record.recipe):
        state = f"one after epoch {finished} of {record.recipe.epochs}" if finished else "one without a checkpoint"
        anew = f", or start a new run from its model (weights, --weights {command(str(directory.model))})"
        raise ValueError(
            f"{directory.path}: expected a finished run to train on to {epochs} epochs, got {state}; resume it without "
            f"epochs first{anew if directory.model.exists() else ''}."
        )
    finished = len(read_history(directory.history)) or finished
    if epochs <= finished:
        raise ValueError(f"{directory.path}: expected epochs to be above {finished}, which it has, got {epochs}.")
    return replace(record, recipe=record.recipe.extended(epochs - finished))


def _ends_without_checkpoint(directory: RunDirectory, recipe: Recipe) -> bool:
    """Return whether a run has finished with phases that need no checkpoint.

    These are linear probes, which are fitted again in seconds, and phases that were left out.
    """
    if not directory.report.exists():
        return False
    begins = read_position(directory.checkpoint).phase + 1 if directory.checkpoint.exists() else 0
    trained = {row.get("phase", 1) for row in read_history(directory.history)}
    return all(
        isinstance(phase, LinearProbe) or (phase.min_error > 0 and number not in trained)
        for number, phase in enumerate(recipe.phases[begins:], start=begins + 1)
    )
