"""What keeps a GPU or TPU busy: batches that are ready, of one size, and a process that does not wait for each loss."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import keras

from resnet50._io.cache_limit import limit_cache
from resnet50._io.fetch import cache_folder
from resnet50.training.accelerator import find_accelerator

CACHE_BYTES = 2 << 30
"""Most bytes of compiled programs that the cache keeps; the oldest are removed. A step of ResNet-50 takes some MB."""

_AHEAD = 4  # batches that threads make before they are requested: 154 MB for 256 images of 224 pixels


def batches_ahead() -> int:
    """Return how many batches threads make ahead: none for a processor, which computes with the same cores."""
    return _AHEAD if find_accelerator() else 0


class OneStepLate(keras.callbacks.CallbackList):
    """Callbacks that see a step's loss when the next step is under way.

    A GPU works by itself. To read the loss of a step is to wait for it, and the next could not begin before: so it has
    begun. An epoch's last loss is read before validation, so that nothing is validated or stored that has diverged.

    Args:
        callbacks: The callbacks.
        **params: ``model``, and what Keras tells callbacks: ``epochs``, ``steps`` and ``verbose``.
    """

    def __init__(self, callbacks: Sequence[keras.callbacks.Callback], **params: Any) -> None:
        super().__init__(list(callbacks), add_history=True, **params)
        self._ended: tuple[int, Any] | None = None

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Report the step before this one."""
        ended, self._ended = self._ended, (batch, logs)
        if ended:
            super().on_train_batch_end(*ended)

    def on_test_begin(self, logs: Any = None) -> None:
        """Report the last step."""
        self._report()
        super().on_test_begin(logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Report the last step, where there was no validation."""
        self._report()
        super().on_epoch_end(epoch, logs)

    def _report(self) -> None:
        ended, self._ended = self._ended, None
        if ended:
            super().on_train_batch_end(*ended)


def looks_at_steps(callback: keras.callbacks.Callback) -> bool:
    """Return whether a callback is called after each step, when it may look at the weights too."""
    return any(
        getattr(getattr(callback, name), "__func__", None) is not getattr(keras.callbacks.Callback, name)
        for name in ("on_batch_end", "on_train_batch_end")
    )


def keep_compiled_programs() -> None:
    """Keep what JAX compiles for a GPU or TPU in the folder ``jax`` of the cache, for the next run.

    It does nothing on another backend or a processor, whose programs may not run on the next one; where the caller has
    chosen a folder (``JAX_COMPILATION_CACHE_DIR``); and where others could write to ours: JAX executes what is there.
    """
    if keras.backend.backend() != "jax" or find_accelerator() is None:
        return
    config = import_module("jax").config
    if config.jax_compilation_cache_dir:
        return
    folder = cache_folder() / "jax"
    if _is_own(folder):
        limit_cache(folder, "*-cache", max_bytes=CACHE_BYTES)
        config.update("jax_compilation_cache_dir", str(folder))


def _is_own(folder: Path) -> bool:
    """Return whether a folder, which is made if it is not there, can be written by this user alone."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError:
        return False
    return not hasattr(os, "getuid") or (status.st_uid == os.getuid() and not status.st_mode & 0o022)
