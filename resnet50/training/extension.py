"""Extension: a finished run is trained on in a further phase."""

from __future__ import annotations

from dataclasses import replace

from resnet50.training.checkpoint import finished_epochs, is_finished
from resnet50.training.history import read_history
from resnet50.training.record import RunRecord
from resnet50.training.run import RunDirectory


def extend(directory: RunDirectory, record: RunRecord, epochs: int) -> RunRecord:
    """Return the record of a finished run with a further phase, which lasts until the run has this many epochs.

    Schedules such as the cosine have ended, so the further phase has a schedule of its own: it is `Recipe.extended`.

    Raises:
        ValueError: If the run is not finished, has no checkpoint, or has as many epochs already.
    """
    # a run of linear probes has no checkpoint: they are fitted again, which takes seconds
    probed = directory.report.exists() and not directory.checkpoint.exists()
    finished = len(read_history(directory.history)) if probed else finished_epochs(directory.checkpoint)
    if not probed and not is_finished(directory.checkpoint, record.recipe):
        state = f"one after epoch {finished} of {record.recipe.epochs}" if finished else "one without a checkpoint"
        anew = f", or start a new run from its model (weights, --weights {directory.model})"
        raise ValueError(
            f"{directory.path}: expected a finished run to train on to {epochs} epochs, got {state}; resume it without "
            f"epochs first{anew if directory.model.exists() else ''}."
        )
    if epochs <= finished:
        raise ValueError(f"{directory.path}: expected epochs to be above {finished}, which it has, got {epochs}.")
    return replace(record, recipe=record.recipe.extended(epochs - finished))
