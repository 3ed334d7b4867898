"""Averages of weights: over the last epochs (SWA), and the running average of the optimizer (EMA)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import keras
import numpy as np


class WeightAverage(keras.callbacks.Callback):
    """Stochastic weight averaging: the mean of weights and moving statistics after the last epochs becomes the model.

    Args:
        last: Number of epochs to average.
        epochs: Epochs of the whole run.

    Attributes:
        total: Sum of the weights so far.
        count: Number of epochs in it.

    Source: Izmailov et al. 2018, arXiv:1803.05407.
    """

    def __init__(self, last: int, epochs: int) -> None:
        super().__init__()
        self._first = epochs - last
        self.total: list[np.ndarray] = []
        self.count = 0

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Add the epoch's weights."""
        if epoch >= self._first:
            weights = self.model.get_weights()
            self.total = [old + new for old, new in zip(self.total, weights, strict=True)] if self.total else weights
            self.count += 1

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """Set the model's weights to the mean."""
        if self.count > 1:
            self.model.set_weights([total / self.count for total in self.total])


class ValidateAverage(keras.callbacks.Callback):
    """Validate the running average of the weights, which becomes the trained model.

    On TensorFlow, Keras' `SwapEMAWeights` swaps weights and average by adding and subtracting them, which rounds both;
    this callback restores the weights exactly.
    """

    def __init__(self) -> None:
        super().__init__()
        self._swapped = ExitStack()

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        """Replace the weights by their average."""
        self._swapped.enter_context(averaged(self.model))

    def on_test_end(self, logs: dict[str, float] | None = None) -> None:
        """Restore the weights."""
        self._swapped.close()


@contextmanager
def averaged(model: keras.Model) -> Iterator[None]:
    """Replace a model's weights by their running average inside the block, if its optimizer has one."""
    if not model.optimizer.use_ema:
        yield
        return
    weights = [np.array(keras.ops.convert_to_numpy(weight)) for weight in model.trainable_weights]
    model.optimizer.finalize_variable_values(model.trainable_weights)
    for weight in model.trainable_weights:
        # without the copy, JAX would donate the average's own memory along with the weight's when it validates
        weight.assign(keras.ops.copy(weight.value))
    try:
        yield
    finally:
        for weight, value in zip(model.trainable_weights, weights, strict=True):
            weight.assign(value)
