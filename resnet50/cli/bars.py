"""One bar for whatever takes long, where there is a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from resnet50._io.fetch import Progress


@contextmanager
def bar(words: str, *, in_bytes: bool = False) -> Iterator[Progress]:
    """Show on standard error how far something is; nothing where that is no terminal, or before the first news.

    Args:
        words: What is being done.
        in_bytes: Count bytes, in place of whole things.

    Yields:
        What takes the number that is done, and the whole number or None.
    """
    from rich import progress as rich
    from rich.console import Console

    console = Console(stderr=True)
    count = rich.DownloadColumn() if in_bytes else rich.MofNCompleteColumn()
    columns = (rich.TextColumn("{task.description}"), rich.BarColumn(), count, rich.TimeRemainingColumn())
    with rich.Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        task = shown.add_task(words, total=None, visible=False)
        yield lambda done, total: shown.update(task, completed=done, total=total, visible=True)
