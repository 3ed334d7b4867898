"""The runs of a folder: their data, recipes and scores, read from their directories."""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np

from resnet50._io.limits import read_text
from resnet50.inference.locate import RECIPE, RUNS
from resnet50.training.history import read_history
from resnet50.training.record import RunRecord
from resnet50.training.run import RunDirectory
from resnet50.weights.registry import without_folder

_LONGEST = 1e9  # seconds of an epoch: thirty years


@dataclass(frozen=True)
class RunScores:
    """The scores of a run on its test images, as its ``report.json`` has them.

    Attributes:
        accuracy: Share of images that are classified correctly, 0..1.
        interval: 95 % confidence interval of the accuracy, 0..1.
        loss: Mean cross-entropy in nats.
        images: Number of images.
        wrong: Indices of the images that are misclassified.
    """

    accuracy: float
    interval: tuple[float, float]
    loss: float
    images: int
    wrong: frozenset[int]

    @property
    def right(self) -> np.ndarray:
        """Whether each image is classified correctly, bool ``(images,)``."""
        right = np.ones(self.images, bool)
        right[list(self.wrong)] = False
        return right


@dataclass(frozen=True)
class RunSummary:
    """A run, finished or not.

    Attributes:
        folder: Its directory.
        record: Its recipe, data and environment.
        history: Its rows for each epoch.
        scores: Its scores; None where it is not finished.
        model_bytes: Size of its model in bytes; None where it has none yet.
    """

    folder: RunDirectory
    record: RunRecord
    history: tuple[dict[str, float], ...]
    scores: RunScores | None
    model_bytes: int | None

    @property
    def name(self) -> str:
        """Name of the directory, also where it is named as ``.``."""
        return self.folder.path.resolve().name

    @property
    def seconds(self) -> float:
        """Duration of all epochs in seconds, without values that a damaged history may hold."""
        seconds = [row.get("seconds", 0.0) for row in self.history]
        return sum(each for each in seconds if 0 <= each < _LONGEST)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        record, scores = self.record, self.scores
        return {
            "folder": str(self.folder.path),
            "started": record.started,
            "dataset": record.dataset,
            "recipe": json.loads(record.recipe.to_json()),
            "epochs": len(self.history),
            "seconds": round(self.seconds, 2),
            "model_bytes": self.model_bytes,
            "accuracy": scores and scores.accuracy,
            "interval": scores and scores.interval,
            "loss": scores and scores.loss,
            "images": scores and scores.images,
        }

    @cached_property
    def setting(self) -> str:
        """Everything that determines the run but its seed and machine: runs with the same setting differ by chance."""
        record = self.record
        return json.dumps(
            [
                replace(record.recipe, seed=0).to_json(),
                record.dataset,
                dict(record.fingerprints),
                record.weights and record.weights.sha256,
                record.precision,
            ]
        )


@dataclass(frozen=True)
class SeedGroup:
    """Runs of one setting with different seeds; a single run is a group of one.

    Attributes:
        runs: The runs, at least one.
    """

    runs: tuple[RunSummary, ...]

    @property
    def name(self) -> str:
        """Name of the first run, and how many others there are."""
        return self._with_others(self.runs[0].name)

    @property
    def place(self) -> str:
        """Directory of the first run, and how many others there are; no other group has the same one."""
        return self._with_others(str(self.runs[0].folder.path))

    def _with_others(self, first: str) -> str:
        others = len(self.runs) - 1
        return f"{first} and {others} more" if others else first

    @property
    def accuracies(self) -> list[float]:
        """Accuracy of each finished run, 0..1."""
        return [run.scores.accuracy for run in self.runs if run.scores]

    @property
    def accuracy(self) -> float | None:
        """Mean accuracy of the finished runs, 0..1; None where none is finished."""
        return fmean(self.accuracies) if self.accuracies else None

    @property
    def spread(self) -> float | None:
        """Standard deviation of the accuracy over the seeds; None for fewer than two seeds of finished runs."""
        seeds = {run.record.recipe.seed for run in self.runs if run.scores}
        return stdev(self.accuracies) if len(seeds) > 1 else None

    @property
    def accuracy_in_words(self) -> str:
        """The accuracy of a run with its 95 % interval, or the mean of several with their standard deviation."""
        if self.accuracy is None:
            return "not finished"
        if self.spread is not None:
            several = "seeds" if len(set(self.seeds)) == len(self.runs) else "runs"
            return f"{self.accuracy:.1%}, sd {100 * self.spread:.1f} over {len(self.accuracies)} {several}"
        low, high = next(run.scores.interval for run in self.runs if run.scores)
        return f"{self.accuracy:.1%} ({low:.1%} to {high:.1%})"

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds of the runs, the lowest first."""
        return tuple(sorted(run.record.recipe.seed for run in self.runs))

    @property
    def seconds(self) -> float:
        """Mean duration of a run in seconds."""
        return fmean(run.seconds for run in self.runs)

    @property
    def megabytes(self) -> str:
        """Size of the model of its first run in megabytes; empty where there is none."""
        size = self.runs[0].model_bytes
        return "" if size is None else f"{size / 1e6:.1f}"

    @property
    def started(self) -> str:
        """When its first run was started, in ISO 8601; empty where that is not known."""
        return min(run.record.started or "" for run in self.runs)


@dataclass(frozen=True)
class RunList:
    """The runs of a folder.

    Attributes:
        groups: Runs of one setting together, in the order that was asked for.
        changes: For each group, the numbers of its recipe that other groups of the same dataset do not share.
        unreadable: Directories of runs that could not be read, each with the reason.
    """

    groups: tuple[SeedGroup, ...]
    changes: tuple[dict[str, Any], ...]
    unreadable: tuple[tuple[Path, str], ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, a row for each run."""
        rows = [
            {"changes": changes, **run.to_dict()}
            for group, changes in zip(self.groups, self.changes, strict=True)
            for run in group.runs
        ]
        return {"runs": rows, "unreadable": [{"folder": str(folder), "reason": why} for folder, why in self.unreadable]}


def _last_first(value: float | None) -> float:
    return float("inf") if value is None else -value


SORTED: dict[str, Callable[[SeedGroup], Any]] = {
    "started": lambda group: group.started,
    "name": lambda group: group.runs[0].name,
    "accuracy": lambda group: _last_first(group.accuracy),
    "time": lambda group: group.seconds,
    "size": lambda group: group.runs[0].model_bytes or 0,
}
"""What runs can be sorted by: the earliest, the first name, the most accurate, the fastest or the smallest first."""


def list_runs(folder: str | os.PathLike[str] = RUNS, *, sort: str = "started") -> RunList:
    """Read the runs in a folder.

    Args:
        folder: The folder that the directories of runs are in.
        sort: A name of `SORTED`.

    Returns:
        The runs, those of one setting with different seeds as one group.

    Raises:
        FileNotFoundError: If there is no such folder, or no run in it.
        ValueError: If they cannot be sorted by that.
    """
    if sort not in SORTED:
        raise ValueError(f"expected to sort by one of {', '.join(SORTED)}, got {sort!r}.")
    runs, unreadable = [], []
    for recipe in sorted(Path(folder).glob(f"*/{RECIPE}")):
        try:
            runs.append(read_run(recipe.parent))
        except (OSError, ValueError) as error:
            unreadable.append((recipe.parent, str(error)))
    if not runs and not unreadable:
        raise FileNotFoundError(f"{folder}: expected the directories of runs in it, got none; train one first.")
    groups = sorted(group_seeds(runs), key=SORTED[sort])
    return RunList(tuple(groups), tuple(_changes(groups)), tuple(unreadable))


def _changes(groups: Sequence[SeedGroup]) -> list[dict[str, Any]]:
    """Return for each group what differs from the others of its dataset."""
    runs = [group.runs[0] for group in groups]
    changes: dict[int, dict[str, Any]] = {}
    for dataset in {run.record.dataset for run in runs}:
        same = [index for index, run in enumerate(runs) if run.record.dataset == dataset]
        changes |= zip(same, changed_numbers([runs[index] for index in same]), strict=True)
    return [changes[index] for index in range(len(runs))]


def group_seeds(runs: Iterable[RunSummary]) -> list[SeedGroup]:
    """Return the runs, those of one setting together, in the order of their first runs."""
    groups: dict[str, list[RunSummary]] = {}
    for run in runs:
        groups.setdefault(run.setting, []).append(run)
    return [SeedGroup(tuple(group)) for group in groups.values()]


def read_run(folder: str | os.PathLike[str]) -> RunSummary:
    """Read a run from its directory.

    Raises:
        FileNotFoundError: If there is no run.
        ValueError: If its files are damaged.
    """
    directory = RunDirectory(Path(folder))
    record = directory.read()
    return RunSummary(
        folder=directory,
        record=record,
        history=tuple(read_history(directory.history)),
        scores=_read_scores(directory.report) if directory.report.is_file() else None,
        model_bytes=directory.model.stat().st_size if directory.model.is_file() else None,
    )


def _read_scores(path: Path) -> RunScores:
    """Return the scores of a ``report.json``.

    Raises:
        ValueError: If it is none, or its numbers contradict each other.
    """
    try:
        values = json.loads(read_text(path))
        low, high = (float(limit) for limit in values["interval"])
        scores = RunScores(
            accuracy=float(values["accuracy"]),
            interval=(low, high),
            loss=float(values["loss"]),
            images=int(values["images"]),
            wrong=frozenset(int(mistake["index"]) for mistake in values["mistakes"]),
        )
        if not all(map(math.isfinite, (low, high, scores.loss))):
            raise ValueError("a number that is not finite")
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise ValueError(f"{path}: expected the scores of a run, got a damaged file ({error}); restore it.") from error
    expected = round((1 - scores.accuracy) * scores.images) if 0 <= scores.accuracy <= 1 else -1
    if len(scores.wrong) != expected or not all(0 <= index < scores.images for index in scores.wrong):
        raise ValueError(
            f"{path}: expected {scores.accuracy:.2%} of {scores.images:,} images to be right, got "
            f"{len(scores.wrong):,} mistakes; restore it."
        )
    return scores


def changed_numbers(runs: Sequence[RunSummary]) -> list[dict[str, Any]]:
    """Return for each run the numbers of its recipe that are not the same in all of them, without the seed.

    A number of a phase is named after it, such as ``phase 1 epochs``, or ``epochs`` in a recipe of one phase. Options
    of reading the images that are not the default, such as corrections, count too. Values that the fewest runs share
    come first, then numbers with the most values; numbers of the recipe come before those of its phases.
    """
    flat = [_flatten(run.record) for run in runs]
    counts = {
        name: Counter(json.dumps(each.get(name)) for each in flat)
        for name in dict.fromkeys(name for each in flat for name in each)
    }

    def differing(numbers: dict[str, Any]) -> list[str]:
        names = (name for name in counts if name in numbers and len(counts[name]) > 1)
        return sorted(names, key=lambda name: (counts[name][json.dumps(numbers[name])], -len(counts[name])))

    return [{name: numbers[name] for name in differing(numbers)} for numbers in flat]


def _flatten(record: RunRecord) -> dict[str, Any]:
    recipe = json.loads(record.recipe.to_json())
    phases = recipe.pop("phases")
    del recipe["seed"]
    flat: dict[str, Any] = dict(record.source.changed_options) if record.source else {}
    for name, value in recipe.items():
        flat |= value if isinstance(value, dict) else {name: value}
    flat |= {name: without_folder(flat[name]) for name in ("weights", "corrections") if flat.get(name)}
    flat["phases"] = len(phases)
    for number, phase in enumerate(phases, start=1):
        flat |= {f"phase {number} {name}" if len(phases) > 1 else name: value for name, value in phase.items()}
    return flat
