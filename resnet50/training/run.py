"""The run directory: configuration, results and resume state."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self, overload

from resnet50._io.cells import harmless
from resnet50._io.files import atomic_path, check_writable
from resnet50._io.limits import read_text
from resnet50._io.locks import LockedError, locked
from resnet50._io.paths import describe_path
from resnet50.data.dataset import Unreadable
from resnet50.data.left_out import LeftOut
from resnet50.inference.locate import BEST, ENVIRONMENT, MODEL, RECIPE, describe_no_run
from resnet50.training.recipe import Recipe
from resnet50.training.record import RunRecord


@dataclass(frozen=True)
class RunFile:
    """A file or folder of a run directory; as an attribute of a `RunDirectory` it is its path.

    Attributes:
        name: Path below the run directory.
        meaning: Its content, in a sentence.
    """

    name: str | Path
    meaning: str

    @overload
    def __get__(self, run: None, owner: type[RunDirectory]) -> Self: ...

    @overload
    def __get__(self, run: RunDirectory, owner: type[RunDirectory]) -> Path: ...

    def __get__(self, run: RunDirectory | None, owner: type[RunDirectory]) -> Self | Path:
        return self if run is None else run.path / self.name


@dataclass(frozen=True)
class RunDirectory:
    """The directory of a run; each of its files is an attribute.

    Attributes:
        path: The directory.
    """

    path: Path

    model = RunFile(MODEL, "The trained classifier.")
    best = RunFile(BEST, "The classifier of the best epoch, where there is a validation split.")
    checkpoint = RunFile("checkpoints/last.h5", "The state to resume from.")
    recipe = RunFile(RECIPE, "Every number of the training.")
    environment = RunFile(ENVIRONMENT, "Versions, machine, commit, data and pretrained weights.")
    transfer = RunFile("transfer.json", "The report on pretrained weights, where there are any.")
    images = RunFile("images.csv", "Every image of the run: its split, path, class and the SHA-256 of its pixels.")
    unreadable = RunFile("unreadable.csv", "Files of the source that could not be read, where there are any.")
    left_out = RunFile("left_out.csv", "Counts of what else of the source was not used, where there is any.")
    history = RunFile("history.csv", "A row for each epoch.")
    curves = RunFile("curves.png", "Figure of the history.")
    report = RunFile("report.json", "Scores on the test split.")
    page = RunFile("report.html", "The report as a page, with figures, mistakes and the audit's issues.")
    features = RunFile("features.npz", "Features of the training images, where `resnet50 app` was used.")
    tensorboard = RunFile("tensorboard", "Logs for TensorBoard, where they were asked for.")

    def check_new(self) -> None:
        """Refuse a place where no run can be started.

        Raises:
            PermissionError: If nothing can be written there.
            ValueError: If there is a run in the directory already, or a file in its place or above it.
        """
        self.check_absent()
        check_writable(self.recipe)

    def check_absent(self) -> None:
        """Refuse a place where there is a run already; a process that writes nothing needs no more.

        Raises:
            ValueError: If there is a run in the directory, or a file in its place.
        """
        if self.recipe.exists():
            raise ValueError(f"{self.path}: expected no run there yet, got one; resume it, or choose another folder.")
        if os.path.lexists(self.path) and not self.path.is_dir():
            got = describe_path(self.path)
            raise ValueError(f"{self.path}: expected a folder for the run, got {got}; choose another name.")

    def create(self, record: RunRecord) -> None:
        """Make the directory and write the record of the run.

        Of two processes that create the same run at once, one gets the directory and the other the error.

        Raises:
            PermissionError: As `check_new`.
            ValueError: As `check_new`.
        """
        self.check_new()
        with atomic_path(self.environment) as temporary:
            temporary.write_text(record.to_json() + "\n", encoding="utf-8")
            try:
                with self.recipe.open("x", encoding="utf-8") as file:
                    file.write(record.recipe.to_json() + "\n")
            except FileExistsError:
                self.check_new()
                raise

    def read(self) -> RunRecord:
        """Return the record of the run in this directory.

        Raises:
            FileNotFoundError: If there is no run.
            ValueError: If its files are damaged, or an earlier version of this package wrote them.
        """
        if missing := [file.name for file in (self.recipe, self.environment) if not file.is_file()]:
            got = describe_no_run(self.path, " and ".join(missing), having=RECIPE)
            raise FileNotFoundError(f"{self.path}: expected the folder of a run, got {got}.")
        file = self.recipe
        try:
            recipe = Recipe.from_json(read_text(file))
            file = self.environment
            return RunRecord.from_json(read_text(file), recipe)
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock of the run in the block, where the disk can lock files, so that one process trains it.

        Raises:
            ValueError: If another process holds it.
        """
        try:
            with locked(self.environment):  # a file that every run has and that is never replaced
                yield
        except LockedError as error:
            raise ValueError(
                f"{self.path}: expected a run that no other process trains, got one that is being trained; wait until "
                "it ends."
            ) from error

    def remove_leftovers(self) -> None:
        """Remove the partial files of a killed process."""
        for leftover in list(self.path.rglob(".partial-*")):
            if leftover.is_dir():  # of an export into the run directory
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink(missing_ok=True)


def write_unreadable(path: Path, files: Sequence[Unreadable]) -> None:
    """Write the files that could not be read as CSV, a row for each, atomically."""
    _write_table(path, ("path", "reason"), ((each.path, each.reason) for each in files))


def write_left_out(path: Path, left_out: Sequence[LeftOut]) -> None:
    """Write the counts of what else of a source was not used as CSV, atomically."""
    rows = ((each.reason, each.place, each.suffix, each.count) for each in left_out)
    _write_table(path, ("reason", "place", "suffix", "count"), rows)


def _write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with (
        atomic_path(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(map(harmless, row) for row in rows)
