"""Terminal output: text wrapped at words, and the progress of a command's step."""

from __future__ import annotations

import logging
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from resnet50._io.text import printable

if TYPE_CHECKING:
    from resnet50._io.fetch import Progress


def show(*lines: object, file: TextIO | None = None) -> None:
    """Print each argument as one unwrapped line, such as a path or a row of a table; control characters are escaped."""
    for line in lines:
        print(printable(line), file=file or sys.stdout)


def show_json(text: str) -> None:
    """Print JSON, which may have several lines; `json.dumps` has escaped control characters."""
    print(text)


def say(*lines: str, indent: int | None = None, file: TextIO | None = None) -> None:
    """Print prose, wrapped at words at the terminal's width, or at 80 columns where there is no terminal.

    Args:
        lines: Lines of prose; a line break inside of one, such as in a file's name, is escaped.
        indent: Indentation of wrapped lines; by default that of the line itself.
        file: Standard output by default.
    """
    for line in lines:
        print(wrap(line, indent=indent), file=file or sys.stdout)


def wrap(line: str, *, indent: int | None = None) -> str:
    """Return a line wrapped at words; a path that is longer than a line stays whole.

    Args:
        line: One line of prose.
        indent: Indentation of the lines after the first; by default that of the first.
    """
    rest = len(line) - len(line.lstrip()) if indent is None else indent
    width = max(shutil.get_terminal_size().columns, 20)
    wrapper = textwrap.TextWrapper(width, subsequent_indent=" " * rest, break_long_words=False, break_on_hyphens=False)
    return "\n".join(wrapper.wrap(printable(line)))


@contextmanager
def step(words: str, *, in_bytes: bool = False, lines: bool = False, file: TextIO | None = None) -> Iterator[Progress]:
    """Show on standard error the step of a command and its progress; without a terminal nothing, or its messages.

    A message that the package logs meanwhile (level INFO) replaces the words, since another step begins.

    Args:
        words: Name of the step, such as ``"reading images"``.
        in_bytes: Whether the progress is counted in bytes instead of items.
        lines: Whether messages are printed where there is no terminal, for work that takes hours.
        file: Where to show it; standard error by default.

    Yields:
        A function of the number done and the total, or None where the total is not known.
    """
    from rich import progress as rich
    from rich.console import Console

    console = Console(file=file, stderr=True)
    text, count = rich.TextColumn("{task.description}", markup=False), rich.MofNCompleteColumn()
    uncounted = (rich.SpinnerColumn(), text)
    counted = (text, rich.BarColumn(), rich.DownloadColumn() if in_bytes else count, rich.TimeRemainingColumn())
    with rich.Progress(*uncounted, console=console, transient=True, disable=not console.is_terminal) as shown:
        task = shown.add_task(words, total=None)

        def update(done: int, total: int | None) -> None:
            shown.columns = counted
            shown.update(task, completed=done, total=total)

        def rename(message: str) -> None:
            if lines and not console.is_terminal:
                say(message, file=file or sys.stderr)
            shown.columns = uncounted
            shown.reset(task, total=None, description=message)

        with _log_messages(rename):
            yield update


@contextmanager
def _log_messages(show: Callable[[str], None]) -> Iterator[None]:
    """Pass the package's log messages in the block to a function."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            show(printable(record.getMessage()))

    logger, handler = logging.getLogger("resnet50"), Handler(logging.INFO)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
