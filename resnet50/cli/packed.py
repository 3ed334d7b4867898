"""Printing what was packed."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from resnet50.cli import source
from resnet50.cli.console import say
from resnet50.cli.left_out import show_left_out

if TYPE_CHECKING:
    from resnet50.data.dataset import Dataset, Unreadable
    from resnet50.data.left_out import LeftOut
    from resnet50.data.options import ReadOptions

_SHOWN = 10  # unreadable files that are named; what was packed lists all


def say_corrections(options: ReadOptions) -> None:
    """Print which corrections were applied, if any."""
    from resnet50.data.corrections import read_corrections

    if options.corrections is not None:
        say(f"{read_corrections(options.corrections).describe()}.", file=sys.stderr)


def show_packed(
    out: Path, files: int, splits: Mapping[str, Dataset], unreadable: Sequence[Unreadable], left_out: Sequence[LeftOut]
) -> None:
    """Print the splits, and what was left out of this number of files."""
    for split, dataset in splits.items():
        say(source.counts(split, dataset))
    for file in unreadable[:_SHOWN]:
        say(f"left out {file.path}: {file.reason}", file=sys.stderr)
    if unreadable:
        count = f"{len(unreadable)} of {files}"
        say(f"Files left out because they cannot be read: {count}; {out} lists them.", file=sys.stderr)
    show_left_out(left_out)
