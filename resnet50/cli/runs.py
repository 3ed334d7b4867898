"""``resnet50 runs``."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from resnet50.cli.console import say, show, show_json
from resnet50.cli.parser import examples
from resnet50.cli.tables import show_table
from resnet50.inference.locate import RUNS

if TYPE_CHECKING:
    from resnet50.comparison.runs import RunList

_SORTED = ("started", "name", "accuracy", "time", "size")  # resnet50.comparison.runs.SORTED, which imports NumPy

_SHOWN = 4  # numbers of a recipe in a row


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.epilog = examples("resnet50 runs", "resnet50 runs --sort accuracy", "resnet50 runs experiments --json")
    parser.add_argument(
        "folder", nargs="?", default=str(RUNS), metavar="DIR", help=f"Folder that the runs are in. Default: {RUNS}."
    )
    parser.add_argument(
        "--sort",
        choices=_SORTED,
        default="started",
        help="What comes first: the earliest start, the first name, the highest accuracy, the shortest training or the "
        "smallest model. Default: started.",
    )
    parser.add_argument("--json", action="store_true", help="Print the runs as JSON.")


def run(options: argparse.Namespace) -> int:
    """List the runs of a folder; those that differ in their seed alone are one row."""
    from resnet50.comparison.runs import list_runs

    found = list_runs(options.folder, sort=options.sort)
    for folder, reason in found.unreadable:
        say(f"warning: {folder} is left out: {reason}", file=sys.stderr)
    if options.json:
        show_json(json.dumps(found.to_dict(), indent=2))
    elif found.groups:
        _show(found)
    return 0


def _show(found: RunList) -> None:
    from rich.table import Table
    from rich.text import Text

    from resnet50._io.text import duration, listed, printable

    table = Table("run", "data", box=None, pad_edge=False)
    for name in ("accuracy", "time", "MB"):
        table.add_column(name, justify="right")
    table.add_column("recipe")
    for group, changes in zip(found.groups, found.changes, strict=True):
        numbers = [f"{name} {'none' if value is None else value}" for name, value in changes.items()]
        words = (
            group.name,
            group.runs[0].record.dataset,
            group.accuracy_in_words,
            duration(group.seconds),
            group.megabytes,
            listed(numbers, most=_SHOWN),
        )
        table.add_row(*(Text(printable(word)) for word in words))  # Text, so that brackets in a name are no markup
    show_table(table, last_below=True)
    show("")
    say(
        "time: of the training's epochs. recipe: its numbers, without the seed, that other runs on the same data do "
        "not share; --json prints all of them."
    )
