"""The folder that a training leaves: what it was, what it gave, and what it takes to go on."""

from __future__ import annotations

import csv
import json
import platform
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from resnet50._io.files import atomic_path, write_text
from resnet50._io.workers import usable_cores
from resnet50.data.dataset import Unreadable
from resnet50.training.recipe import Recipe


@dataclass(frozen=True)
class RunDirectory:
    """The names of everything in a run's folder."""

    path: Path

    @property
    def model(self) -> Path:
        """The trained classifier."""
        return self.path / "model.keras"

    @property
    def best(self) -> Path:
        """The classifier of the epoch that validated best, where images were held out."""
        return self.path / "checkpoints" / "best.keras"

    @property
    def checkpoint(self) -> Path:
        """The state to resume from."""
        return self.path / "checkpoints" / "last.h5"

    @property
    def recipe(self) -> Path:
        """Every number of the training."""
        return self.path / "recipe.json"

    @property
    def environment(self) -> Path:
        """Versions, machine, commit, data and pretrained weights."""
        return self.path / "environment.json"

    @property
    def transfer(self) -> Path:
        """What pretrained weights gave the network, where there were any."""
        return self.path / "transfer.json"

    @property
    def tensorboard(self) -> Path:
        """Logs for TensorBoard, where they were asked for."""
        return self.path / "tensorboard"

    @property
    def history(self) -> Path:
        """A row for each epoch."""
        return self.path / "history.csv"

    @property
    def report(self) -> Path:
        """Scores on the test images."""
        return self.path / "report.json"

    @property
    def page(self) -> Path:
        """The report as a page, with its figures, mistakes and the audit's warnings."""
        return self.path / "report.html"

    @property
    def curves(self) -> Path:
        """Figure of the history."""
        return self.path / "curves.png"

    @property
    def images(self) -> Path:
        """Every image that the run was given: its part, source, class and the SHA-256 of its pixels."""
        return self.path / "images.csv"

    @property
    def unreadable(self) -> Path:
        """Files of the source that were left out, and why, where there were any."""
        return self.path / "unreadable.csv"

    def check_new(self) -> None:
        """Refuse a place where no run can be made.

        Raises:
            ValueError: If there is a run in the folder already, or a file in its place.
        """
        if self.recipe.exists():
            raise ValueError(f"{self.path}: there is a run here already; resume it, or choose another folder.")
        if self.path.exists() and not self.path.is_dir():
            raise ValueError(f"{self.path}: expected a folder for the run, found a file; choose another name.")

    def create(self, recipe: Recipe, environment: Mapping[str, Any]) -> None:
        """Make the folder and write what the run will be.

        Raises:
            ValueError: As `check_new`.
        """
        self.check_new()
        write_text(self.environment, json.dumps(environment, indent=2))
        write_text(self.recipe, recipe.to_json())

    def read(self) -> tuple[Recipe, dict[str, Any]]:
        """Return the recipe and the environment of the run that is here.

        Raises:
            FileNotFoundError: If there is none.
            ValueError: If its files are damaged.
        """
        if not self.recipe.is_file() or not self.environment.is_file():
            raise FileNotFoundError(f"{self.path}: expected the folder of a run, found no recipe.json in it.")
        try:
            environment = json.loads(self.environment.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{self.environment}: expected JSON, found something broken ({error}).") from error
        if not isinstance(environment, dict) or not set(environment) >= _KEYS:
            raise ValueError(f"{self.environment}: expected {', '.join(sorted(_KEYS))} in it, found less.")
        if not isinstance(environment["data"], dict) or "fingerprints" not in environment["data"]:
            raise ValueError(
                f"{self.environment}: expected the fingerprints of the run's images in data, found none; a run of an "
                "earlier version cannot be gone on with."
            )
        try:
            recipe = Recipe.from_json(self.recipe.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{self.recipe}: {error}") from error
        return recipe, environment

    def remove_leftovers(self) -> None:
        """Remove what a killed process had begun to write."""
        for leftover in list(self.path.rglob(".partial-*")):
            if leftover.is_dir():  # of an export into the run's folder
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink(missing_ok=True)


_KEYS = {"backend", "versions", "machine", "precision", "data", "weights"}


def write_history(path: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Write the history as CSV, a row for each epoch, atomically."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    with atomic_path(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)


def write_unreadable(path: Path, files: Sequence[Unreadable]) -> None:
    """Write the files that were left out as CSV, a row for each, atomically."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", errors="surrogateescape") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "reason"))
        writer.writerows((unreadable.path, unreadable.reason) for unreadable in files)


def describe_environment() -> dict[str, Any]:
    """Return versions, machine, threads and the commit that the code stands at (None outside a checkout)."""
    import keras  # here, so that reading a run's folder does not load a backend

    return {
        "backend": keras.backend.backend(),
        "versions": {
            "python": platform.python_version(),
            "resnet50": resnet50_version(),
            **{name: import_module(name).__version__ for name in ("keras", "numpy", keras.backend.backend())},
        },
        "machine": {"system": platform.platform(), "processor": _processor(), "threads": usable_cores()},
        "commit": _commit(),
    }


def resnet50_version() -> str | None:
    """Return the version of this package, or None where it runs from a checkout that was never installed."""
    try:
        return version("resnet50")
    except PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _commit() -> str | None:
    """Return the commit of the checkout that the package is part of, with ``-dirty`` if the package differs from it."""
    package = Path(__file__).parents[1]

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=package, capture_output=True, text=True, check=True, timeout=10)
        return done.stdout.strip()

    try:
        if not git("ls-files", "__init__.py"):  # installed into somebody else's checkout
            return None
        return git("rev-parse", "HEAD") + ("-dirty" if git("status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.SubprocessError):
        return None
