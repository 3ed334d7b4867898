"""The options of reading your own images, made from the fields of `ReadOptions`."""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resnet50.cli import fit_options
from resnet50.cli.console import say
from resnet50.cli.parser import number
from resnet50.data.options import ReadOptions

if TYPE_CHECKING:
    from resnet50.data.splits import DatasetSplits

OPTIONS = {field.name: field for field in fields(ReadOptions)}
"""The options of reading, by name."""


def add_read_options(parser: argparse.ArgumentParser, *names: str) -> argparse._ArgumentGroup:
    """Add some of the options of `ReadOptions`."""
    group = parser.add_argument_group("reading your own images")
    for name in names:
        field = OPTIONS[name]
        text = f"{field.metadata['help']} Default: {field.metadata.get('default', _default(field.default))}."
        if field.type in ("bool", "bool | None"):
            group.add_argument(option(name), action=argparse.BooleanOptionalAction, default=None, help=text)
            continue
        is_text = field.default is None
        group.add_argument(
            option(name),
            type=str if is_text else number(float),
            metavar=field.metadata.get("metavar", "TEXT" if is_text else "FLOAT"),
            help=text,
        )
    return group


def _default(value: Any) -> str:
    return "none" if value is None else ("yes" if value else "no") if isinstance(value, bool) else str(value)


def option(name: str) -> str:
    """Return an option's name as it is typed."""
    return f"--{name.replace('_', '-')}"


def given(options: argparse.Namespace) -> dict[str, Any]:
    """Return the options of reading on the command line, by their names in `ReadOptions`."""
    return {name: value for name in OPTIONS if (value := getattr(options, name, None)) is not None}


def read_options(options: argparse.Namespace) -> ReadOptions:
    """Return the options of reading.

    Raises:
        ValueError: If a share is out of its range, or the pattern is not a regular expression with the group ``class``.
    """
    chosen = ReadOptions(**given(options))
    if chosen.corrections is not None:  # a run records where the file is
        chosen = replace(chosen, corrections=str(Path(chosen.corrections).absolute()))
    if chosen.pattern is not None:
        from resnet50.data.folder import compile_pattern

        compile_pattern(chosen.pattern)
    return chosen


def say_read(splits: DatasetSplits) -> None:
    """Print what reading has decided: the range of deep images, and what corrections change."""
    fit_options.say_range(splits.fit)
    if splits.corrections is not None:
        say(f"{splits.corrections.describe()}.", file=sys.stderr)
