"""Apply a function to many items in several threads, with results in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar


def usable_cores() -> int:
    """Return the number of cores that this process may use, which can be fewer than the machine has.

    ``OMP_NUM_THREADS`` lowers it, as for other numerical libraries: in a container that has a share of the machine, and
    in a replica of Ray.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(cores, int(asked))) if asked.isdecimal() else cores


THREADS = min(usable_cores(), 8)
"""Threads that decode images: Pillow releases the interpreter lock, and each image may take a gigabyte of memory."""

_AHEAD = 4  # items per thread that are started before their results are requested

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def in_order(
    function: Callable[[_Item], _Result], items: Iterable[_Item], *, ahead: int = _AHEAD * THREADS
) -> Generator[_Result, None, None]:
    """Apply a function in `THREADS` threads, a few items ahead of the consumer.

    Args:
        function: Called with each item, in any thread.
        items: Any number of items.
        ahead: Maximum number of items that are started before their results are requested.

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
