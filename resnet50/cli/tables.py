"""Tables on standard output, with every cell complete."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from resnet50.cli.console import say, show

if TYPE_CHECKING:
    from rich.table import Table

_ENDLESS = 100_000  # columns, more than any table has


def show_table(table: Table, *, last_below: bool = False) -> None:
    """Print a table at its own width, so that names in it can be told apart and copied.

    Args:
        table: The table, whose rows are lines. A terminal breaks those that are too long for it.
        last_below: Whether the cells of the last column, which are texts, stand below their rows where a terminal is
            too narrow for them; never where there is no terminal.
    """
    from rich.console import Console
    from rich.measure import Measurement

    console = Console(width=_ENDLESS)
    width = Measurement.get(console, console.options, table).maximum
    if not (last_below and sys.stdout.isatty() and width > Console().width):
        console.print(table, highlight=False)
        return
    last = table.columns.pop()
    plain = Console(width=_ENDLESS, force_terminal=False)
    with plain.capture() as printed:
        plain.print(table, highlight=False)
    for row, cell in zip(printed.get().splitlines(), (last.header, *last.cells), strict=True):
        show(row.rstrip())
        say(*([f"    {cell}"] if str(cell) else []))
