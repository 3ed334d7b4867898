"""Draw what commands print in a terminal, as SVG.

Run: ``python docs/generators/terminal.py OUT.svg COMMAND [COMMAND ...]``, with each command as one word in quotes.
"""

from __future__ import annotations

import io
import os
import pty
import sys
from collections.abc import Sequence
from pathlib import Path

import pyte
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

COLUMNS = 84

_PAPER = TerminalTheme((21, 25, 30), (228, 232, 237), [(58, 67, 77)] * 8, [(163, 175, 188)] * 8)
# rich's own frame of the picture, without the font that it would fetch
_FRAME = """<svg viewBox="0 0 {width} {terminal_height}" xmlns="http://www.w3.org/2000/svg">
<style>
text {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: {char_height}px; }}
{styles}
</style>
<defs>{lines}</defs>
<rect width="{width}" height="{terminal_height}" rx="8" fill="#15191e"/>
<g transform="translate(9, 9)">{backgrounds}{matrix}</g>
</svg>
"""


def main(arguments: Sequence[str]) -> None:
    """Run the commands one after the other, and write the picture."""
    path, *commands = arguments
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    for command in commands:
        console.print(Text(f"$ {command}", style="bold"))
        for line in screen(command):
            console.print(Text(line))
        console.print()
    Path(path).write_text(console.export_svg(theme=_PAPER, code_format=_FRAME, unique_id="terminal"), encoding="utf-8")


def screen(command: str) -> list[str]:
    """Run a command in a terminal, and return the lines that it leaves there."""
    display = pyte.Screen(COLUMNS, 200)
    stream = pyte.ByteStream(display)

    def read(descriptor: int) -> bytes:
        content = os.read(descriptor, 65536)
        stream.feed(content)
        return content

    os.environ |= {"COLUMNS": str(COLUMNS), "LINES": "200", "TERM": "xterm"}
    if status := os.waitstatus_to_exitcode(pty.spawn(["bash", "-c", command], read)):
        raise SystemExit(f"{command}: expected exit status 0, got {status}.")
    lines = [line.rstrip() for line in display.display]
    while lines and not lines[-1]:
        lines.pop()
    return lines


if __name__ == "__main__":
    main(sys.argv[1:])
