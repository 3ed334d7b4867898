"""The options of fitting images to a network's input, made from the fields of `Fit`."""

from __future__ import annotations

import argparse
import sys
import textwrap
from dataclasses import fields, replace
from typing import Any

from resnet50.cli.console import say
from resnet50.cli.parser import number
from resnet50.data.fit import DEFAULT_FIT, Fit

STORED = textwrap.fill(
    "Stored with the model, so that predictions and exports fit images in the same way. Published weights have a crop "
    "ratio and a resampling of their own, which are the defaults with them.",
    76,
)
"""Description of the options where they are those of a training."""

_FIELDS = {field.metadata.get("option", field.name): field for field in fields(Fit)}


def add_fit_options(group: argparse._ArgumentGroup) -> None:
    """Add an option for each field of `Fit`."""
    for name, field in _FIELDS.items():
        default = "measured" if field.default is None else field.default
        arguments: dict[str, Any] = {"help": f"{field.metadata['help']} Default: {default}.", "dest": name}
        if choices := field.metadata.get("choices"):
            arguments |= {"choices": choices}
        elif field.name == "value_range":
            arguments |= {"type": number(float), "nargs": 2, "metavar": field.metadata["metavar"]}
        elif isinstance(field.default, float):
            arguments |= {"type": number(float), "metavar": "FLOAT"}
        else:
            arguments |= {"metavar": field.metadata["metavar"]}
        group.add_argument(_option(name), **arguments)


def given(options: argparse.Namespace) -> dict[str, Any]:
    """Return the fit options on the command line, by their names as typed."""
    return {_option(name): value for name in _FIELDS if (value := getattr(options, name)) is not None}


def read_fit(options: argparse.Namespace, usual: Fit = DEFAULT_FIT) -> Fit | None:
    """Return the fit that the options ask for, or None if there are none.

    Args:
        options: The command line.
        usual: Takes the place of the options that are not given; its crop ratio only with a crop.

    Raises:
        ValueError: If the options do not go together.
    """
    values = {field.name: value for name, field in _FIELDS.items() if (value := getattr(options, name)) is not None}
    if not values:
        return None
    if values.get("mode", usual.mode) != "crop":
        usual = replace(usual, mode="crop", crop_ratio=1.0)
    return replace(usual, **values)


def say_range(fit: Fit) -> None:
    """Print which values of images of more than 8 bits become black and white, where there are such images."""
    if fit.value_range is not None:
        low, high = fit.value_range
        say(
            f"Images of more than 8 bits: {low:g} becomes black and {high:g} white in all of them (--value-range).",
            file=sys.stderr,
        )


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
