"""Python's cyclic garbage collector, kept from what Keras and TensorFlow load: half a million objects, no garbage."""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collector() -> Iterator[None]:
    """Pause the collector in a block. It takes a fifth of the time of an import of Keras."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def exit_without_collection() -> None:
    """Collect no garbage when this process ends, which takes a second after Keras was imported.

    A file in a cycle of references would then not be flushed: for processes that close theirs.
    """
    atexit.register(gc.freeze)
