"""What several commands share: naming the place of the pictures, and reading them with a bar."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import signature
from pathlib import Path
from typing import Any

from resnet50.data.split import Parts
from resnet50.recipes import Task

OPTIONS: dict[str, type] = {"pattern": str, "test": float, "most_unreadable": float}
"""What can be said of how a source is to be read, where the task lets one say it."""


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the place of the pictures, as a second word or by name, and how to read them."""
    parser.add_argument("source", nargs="?", metavar="PICTURES", help="the same as --data")
    parser.add_argument(
        "--data", metavar="DIR", help="folder, CSV or h5 with the pictures; else where the recipe has them"
    )
    how = parser.add_argument_group("how to read a folder of your own")
    how.add_argument(
        "--pattern", metavar="RE", help="regular expression whose group 'class' finds the class in a file's path"
    )
    how.add_argument("--test", type=float, metavar="FLOAT", help="share of the pictures to score at the end (0.2)")
    how.add_argument("--most-unreadable", type=float, metavar="FLOAT", help="share of files that may be broken (0.1)")


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
    return {name: value for name in OPTIONS if (value := getattr(options, name)) is not None}


def load(task: Task, data: str | None, *, side: int, how: dict[str, Any]) -> Parts:
    """Read a task's pictures; on a terminal, with a bar for what takes long.

    Raises:
        ValueError: If the task does not let one say how its pictures are to be read, or they cannot be.
        FileNotFoundError: If they are not there.
    """
    for name in how:
        if name not in signature(task.load).parameters:
            raise ValueError(f"the recipe {task.RECIPE.name} knows how its pictures are read: leave out {_word(name)}.")
    with reading() as show:
        return task.load(data, side=side, progress=show, **how)


@contextmanager
def reading() -> Iterator[Callable[[int, int | None], None]]:
    """Give what shows how far the reading of pictures is: a bar on a terminal, and nothing elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("reading pictures"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        bar = bars.add_task("", total=None, visible=False)

        def show(done: int, total: int | None) -> None:
            bars.update(bar, completed=done, total=total, visible=True)

        yield show


def _word(name: str) -> str:
    return f"--{name.replace('_', '-')}"
