"""Work on many items by several threads, given back in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar


def usable_cores() -> int:
    """Return the number of cores that this process may run on, which can be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


THREADS = min(usable_cores(), 8)
"""Images that are decoded at the same time: Pillow lets other threads run meanwhile, and each may hold a gigabyte."""

_AHEAD = 4  # items per thread that are worked on before they are asked for

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def in_order(
    function: Callable[[_Item], _Result], items: Iterable[_Item], *, ahead: int = _AHEAD * THREADS
) -> Iterator[_Result]:
    """Apply a function by `THREADS` threads, a few items ahead of what is asked for.

    Args:
        function: What to do with each item.
        items: Any number.
        ahead: Most items that are worked on, or done, before they are asked for.

    Yields:
        The results, in the order of the items.
    """
    waiting: deque[Future[_Result]] = deque()
    with ThreadPoolExecutor(THREADS) as threads:
        try:
            for item in items:
                waiting.append(threads.submit(function, item))
                if len(waiting) >= ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
