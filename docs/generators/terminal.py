"""What commands print in a terminal, as SVG."""

from __future__ import annotations

import io
import os
import pty
from collections.abc import Sequence
from pathlib import Path

import pyte
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

COLUMNS = 84
"""Width of the terminal."""

FIRST, LAST = 7, 19
"""Lines of a long output that are shown, with an ellipsis between them."""

_PAPER = TerminalTheme((21, 25, 30), (228, 232, 237), [(58, 67, 77)] * 8, [(163, 175, 188)] * 8)
# rich's own frame without the font that it would fetch
_FRAME = """<svg viewBox="0 0 {width} {terminal_height}" xmlns="http://www.w3.org/2000/svg">
<style>
text {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: {char_height}px; }}
{styles}
</style>
<defs>{lines}</defs>
<rect width="{width}" height="{terminal_height}" rx="8" fill="#15191e"/>
<g transform="translate(9, 0)">{backgrounds}{matrix}</g>
</svg>
"""


def draw_terminal(commands: Sequence[str], path: Path) -> None:
    """Run commands one after the other, and draw them with what they print.

    Args:
        commands: Commands of a shell.
        path: SVG file to write.

    Raises:
        RuntimeError: If a command fails.
    """
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    for number, command in enumerate(commands):
        if number:
            console.print()
        console.print(Text(f"$ {command}", style="bold"))
        for line in shortened(screen(command)):
            console.print(Text(line))
    console.print()  # room below the last line
    svg = console.export_svg(theme=_PAPER, code_format=_FRAME, unique_id="terminal")
    path.write_text(svg, encoding="utf-8")


def shortened(lines: list[str]) -> list[str]:
    """Return the first and the last lines of a long output."""
    return lines if len(lines) <= FIRST + LAST else [*lines[:FIRST], "   ⋮", *lines[-LAST:]]


def screen(command: str) -> list[str]:
    """Run a command in a terminal, and return the lines that it leaves there.

    Args:
        command: Command of a shell.

    Raises:
        RuntimeError: If it fails.
    """
    display = pyte.Screen(COLUMNS, 200)
    stream = pyte.ByteStream(display)

    def read(descriptor: int) -> bytes:
        content = os.read(descriptor, 65536)
        stream.feed(content)
        return content

    resized = f"stty cols {COLUMNS} rows 200; {command}"
    status = os.waitstatus_to_exitcode(pty.spawn(["bash", "-c", resized], read))
    lines = [line.rstrip() for line in display.display]
    while lines and not lines[-1]:
        lines.pop()
    if status:
        raise RuntimeError(f"{command}: expected exit status 0, got {status}: {' '.join(lines[-1:])}")
    return lines
