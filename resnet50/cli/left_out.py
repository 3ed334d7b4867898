"""Printing what of a source is not used."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from resnet50.cli.console import say

if TYPE_CHECKING:
    from resnet50.data.left_out import LeftOut


def show_left_out(left_out: Sequence[LeftOut]) -> None:
    """Print a line on standard error, if anything is left out."""
    from resnet50.data.left_out import describe_left_out

    if left_out:
        say(f"left out: {describe_left_out(left_out)}", file=sys.stderr)
