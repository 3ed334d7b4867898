"""Measure contenders within one process, in interleaved rounds, so that other work on the machine affects all alike.

Contenders that need a process of their own are measured by `resnet50.profiling.rounds`.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping


def images_per_second(contenders: Mapping[str, Callable[[], int]], *, rounds: int) -> dict[str, dict[str, float]]:
    """Measure contenders in interleaved rounds.

    Args:
        contenders: By name, a function that works for one round and returns its number of images.
        rounds: Number of rounds, after one that warms up and is not counted.

    Returns:
        For each contender the ``median``, ``min`` and ``max`` of its images per second, and the number of rounds ``n``.
    """
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name, work in contenders.items():
            began = time.perf_counter()
            images = work()
            if number:
                rates[name].append(images / (time.perf_counter() - began))
    return {
        name: {"median": statistics.median(values), "min": min(values), "max": max(values), "n": len(values)}
        for name, values in rates.items()
    }
