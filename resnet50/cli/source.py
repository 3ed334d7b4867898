"""Shared steps of the commands that read a dataset: find its images, read them, and count them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from resnet50._io.paths import describe_missing_source
from resnet50.cli.console import say, step
from resnet50.cli.read_options import OPTIONS, add_read_options, read_options, say_read

if TYPE_CHECKING:
    from resnet50.data.dataset import Dataset
    from resnet50.data.fit import Fit
    from resnet50.data.splits import DatasetSplits
    from resnet50.datasets.source import DataSource

FOLDER = "folder"
"""The task of your own images."""

_FILES = (".csv", ".h5", ".hdf5")


def add_source_arguments(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Add the task, the place of its images (as a second word or by name), and how to read them."""
    from resnet50.recipes import RECIPES

    parser.add_argument(
        "task",
        nargs=None if required else "?",
        metavar="TASK_OR_PATH",
        help=f"A task, one of {', '.join(RECIPES)}; or a folder, CSV file or h5 file of your own images.",
    )
    parser.add_argument("path", nargs="?", metavar="PATH", help="Images of the task; the same as --data.")
    group = add_read_options(parser, *OPTIONS)
    group.add_argument("--data", metavar="PATH", help="Folder, CSV file or h5 file of images.")


def find_source(options: argparse.Namespace) -> DataSource:
    """Return the images that the words name: those of a task, or your own.

    Raises:
        ValueError: If there is no such task or path, or two places are named.
    """
    from resnet50.datasets.source import DataSource
    from resnet50.recipes import RECIPES

    name = options.task
    if name in RECIPES:
        if Path(name).exists():
            say(f"{name} is a task and a path: this is the task; ./{name} is the path.", file=sys.stderr)
        return DataSource(name, place(options.path, options.data), read_options(options))
    if not Path(name).is_dir() and not (Path(name).is_file() and Path(name).suffix.lower() in _FILES):
        raise ValueError(
            "expected a folder, CSV file or h5 file of images, or a task ('resnet50 recipes' lists them), got "
            f"{name!r}{describe_missing_source(name, _FILES, set(RECIPES) - {FOLDER})}"
        )
    return DataSource(FOLDER, place(name, options.path, options.data), read_options(options))


def place(*names: str | None) -> str | None:
    """Return the absolute path of the images, which a run can record; None if no path is named.

    Raises:
        ValueError: If several paths are named.
    """
    named = [name for name in names if name is not None]
    if len(named) > 1:
        raise ValueError(f"expected one path of images, got {' and '.join(named)} (as PATH and --data); leave out one.")
    return str(Path(named[0]).absolute()) if named else None


def load(source: DataSource, *, image_size: int, fit: Fit | None = None) -> DatasetSplits:
    """Read a source, with a progress bar on a terminal.

    Raises:
        FileNotFoundError: If the images are not there.
        ValueError: If they cannot be read.
    """
    with step("reading images") as progress, suggest_data(source):
        splits = source.load(image_size, fit=fit, progress=progress)
    say_read(splits)
    return splits


@contextmanager
def suggest_data(source: object) -> Iterator[None]:
    """Add ``--data`` to the error of a source that has no path and is not where it usually is."""
    try:
        yield
    except FileNotFoundError as error:
        if getattr(source, "path", "") is None and "--data" not in str(error):
            raise FileNotFoundError(f"{error} Give the place of the images by --data.") from error
        raise


def counts(split: str, dataset: Dataset) -> str:
    """Return a line on a split: the number of its images, in all and of each class."""
    import numpy as np

    numbers = np.bincount(dataset.labels, minlength=len(dataset.class_names))
    classes = "  ".join(f"{name}: {count}" for name, count in zip(dataset.class_names, numbers, strict=True))
    return f"{split:11}{len(dataset):6} images   {classes}"
