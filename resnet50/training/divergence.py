"""Divergence: stop a training whose loss or weights are no longer usable."""

from __future__ import annotations

import math

import keras
import numpy as np


class DivergenceError(ValueError):
    """The loss became NaN, infinite or far too large; the message says when, and what to do."""


class StopDivergence(keras.callbacks.Callback):
    """Stop a run that diverges, before a checkpoint can overwrite the last good one.

    Args:
        classes: Number of classes. The limit for the mean loss of an epoch is five times that of guessing,
            ``log(classes)`` nats.
        advice: Advice on how to avoid it, for the error's message.
    """

    def __init__(self, classes: int, *, advice: str) -> None:
        super().__init__()
        self._limit = 5 * math.log(classes)
        self._advice = advice
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Remember the epoch for the message."""
        self._epoch = epoch + 1

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Raise if the loss is NaN or infinite."""
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            raise DivergenceError(f"the loss became {loss} in epoch {self._epoch}, step {batch + 1}. {self._advice}")

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Raise if the mean loss of the epoch is above the limit, or a weight is NaN or infinite."""
        loss = (logs or {}).get("loss", 0.0)
        if loss > self._limit:
            raise DivergenceError(f"the loss rose to {loss:.3g} nats in epoch {epoch + 1}. {self._advice}")
        # the last step's loss was computed before its update, which may have gone wrong
        for weight in self.model.weights:
            if not np.isfinite(keras.ops.convert_to_numpy(weight)).all():
                raise DivergenceError(f"{weight.path} became NaN or infinite in epoch {epoch + 1}. {self._advice}")
