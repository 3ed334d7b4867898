"""The summary of a run, for its report."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from resnet50.reports.training_summary import TrainingSummary
from resnet50.training.history import columns
from resnet50.training.record import RunRecord


def summarize_training(
    record: RunRecord, history: Sequence[Mapping[str, float]], *, model: str | os.PathLike[str]
) -> TrainingSummary:
    """Summarize a run.

    Args:
        record: Its record.
        history: Its rows for each epoch; empty where they are not known.
        model: Its directory or model, as commands name it.
    """
    return TrainingSummary(
        dataset=record.dataset,
        recipe=asdict(record.recipe),
        history=columns(history),
        source=record.source,
        model=os.fspath(model),
    )
