"""Batches that threads make before they are asked for, so that a device does not wait for them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from resnet50._io.workers import THREADS

_Batch = TypeVar("_Batch")
_Key = tuple[int, int]


class MadeAhead(Generic[_Batch]):
    """The batches of epochs: with each one, threads begin to make those that follow it in its epoch.

    One thread at a time may ask for them.

    Args:
        make: Called with an epoch and an index, in any thread; returns the batch, whatever was made before.
        length: Batches in an epoch.
        ahead: How many follow.
    """

    def __init__(self, make: Callable[[int, int], _Batch], length: int, ahead: int) -> None:
        self._make, self._length, self._ahead = make, length, ahead
        self._threads = ThreadPoolExecutor(min(ahead, THREADS), thread_name_prefix="batches")
        self._begun: dict[_Key, Future[_Batch]] = {}

    def get(self, epoch: int, index: int) -> _Batch:
        """Return a batch. Those that were begun for another place in the epoch, or for another epoch, are dropped."""
        wanted = [(epoch, each) for each in range(index, min(index + 1 + self._ahead, self._length))]
        for key in self._begun.keys() - wanted:
            self._begun.pop(key).cancel()
        for key in wanted:
            if key not in self._begun:
                self._begun[key] = self._threads.submit(self._make, *key)
        return self._begun.pop((epoch, index)).result()
