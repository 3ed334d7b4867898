"""Loading Keras and other runtimes without what they say on every start."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def import_keras() -> None:
    """Import Keras and its backend, quietly."""
    with quiet():
        import keras  # noqa: F401 - imported for its effect


@contextmanager
def quiet() -> Iterator[None]:
    """Drop what libraries in C++ say in the block of builds and missing GPUs; exceptions are not dropped.

    TensorFlow 2.21 writes these lines to the file descriptor before it has read TF_CPP_MIN_LOG_LEVEL.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # for what it says later, such as that there is no GPU
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
