"""A progress bar on standard error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from resnet50._io.fetch import Progress


@contextmanager
def bar(description: str, *, in_bytes: bool = False) -> Iterator[Progress]:
    """Show a progress bar if standard error is a terminal; it appears with the first report and vanishes at the end.

    Args:
        description: Text beside the bar.
        in_bytes: Whether to count bytes instead of items.

    Yields:
        Function that takes the number done and the total, None if unknown.
    """
    from rich import progress as rich  # here and not above: most commands show no bar
    from rich.console import Console

    console = Console(stderr=True)
    count = rich.DownloadColumn() if in_bytes else rich.MofNCompleteColumn()
    columns = (rich.TextColumn("{task.description}"), rich.BarColumn(), count, rich.TimeRemainingColumn())
    with rich.Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        task = shown.add_task(description, total=None, visible=False)
        yield lambda done, total: shown.update(task, completed=done, total=total, visible=True)
