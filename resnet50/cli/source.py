"""What commands share that read pictures of a data set: naming their place, how they are read, and reading them."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resnet50.cli.bars import bar

if TYPE_CHECKING:
    from resnet50.data.split import Parts, Split
    from resnet50.recipes import Task

OPTIONS: Mapping[str, dict[str, Any]] = {
    "pattern": {"metavar": "RE", "help": "regular expression whose group 'class' finds the class in a file's path"},
    "test": {
        "metavar": "FLOAT",
        "type": float,
        "help": "share of the pictures to score at the end, if none are named (0.2)",
    },
    "most_unreadable": {"metavar": "FLOAT", "type": float, "help": "share of files that may be broken (0.1)"},
}
"""What can be said of how a source is to be read, where the task lets one say it."""


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the place of the pictures, as a second word or by name, and how to read them."""
    parser.add_argument("source", nargs="?", metavar="PICTURES", help="the same as --data")
    parser.add_argument(
        "--data", metavar="DIR", help="folder, CSV or h5 with the pictures; else where the recipe has them"
    )
    add_how_arguments(parser, *OPTIONS)


def add_how_arguments(parser: argparse.ArgumentParser, *names: str) -> None:
    """Add some of `OPTIONS`."""
    how = parser.add_argument_group("how to read a folder of your own")
    for name in names:
        how.add_argument(word(name), **OPTIONS[name])


def place(options: argparse.Namespace) -> str | None:
    """Return the place that was named, whole, so that it is found again from elsewhere.

    Raises:
        ValueError: If two were named.
    """
    if options.source and options.data:
        raise ValueError(f"needed one place of pictures, got {options.source} and --data {options.data}.")
    named = options.source or options.data
    return str(Path(named).absolute()) if named else None


def how_to_read(options: argparse.Namespace) -> dict[str, Any]:
    """Return what was said of how to read the source."""
    return {name: value for name in OPTIONS if (value := getattr(options, name, None)) is not None}


def load(task: Task, data: str | None, *, side: int, how: Mapping[str, Any]) -> Parts:
    """Read a task's pictures; on a terminal, with a bar for what takes long.

    Raises:
        ValueError: If the task does not let one say how its pictures are to be read, or they cannot be.
        FileNotFoundError: If they are not there.
    """
    for name in how:
        if name not in signature(task.load).parameters:
            raise ValueError(f"the recipe {task.RECIPE.name} knows how its pictures are read: leave out {word(name)}.")
    with bar("reading pictures") as show:
        return task.load(data, side=side, progress=show, **how)


def load_noted(task: Task, noted: Mapping[str, Any], *, side: int, how: Mapping[str, Any]) -> Parts:
    """Read a run's pictures from where it had them, as ``noted`` in its folder.

    Raises:
        ValueError: If they cannot be read.
        FileNotFoundError: If they are not there.
    """
    place = noted.get("path")
    try:
        return load(task, place, side=side, how=how)
    except FileNotFoundError as error:
        if place is None:
            raise
        raise FileNotFoundError(
            f"{error} The run had its pictures there; name by --data where they are now."
        ) from error


def counts(part: str, split: Split) -> str:
    """Return a line on a part of a source: its pictures, and how many there are of each class."""
    import numpy as np

    numbers = np.bincount(split.labels, minlength=len(split.class_names))
    classes = "  ".join(f"{name}: {number}" for name, number in zip(split.class_names, numbers, strict=True))
    return f"{part:11}{len(split):6} pictures   {classes}"


def word(name: str) -> str:
    """Return an option's name as it is typed."""
    return f"--{name.replace('_', '-')}"
