"""What Keras' own callbacks do not do: drawing an epoch's own batches, noticing divergence, keeping the best."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from resnet50.data.batches import Batches
from resnet50.training.run import write_history


class DivergenceError(ValueError):
    """The loss became NaN, infinite or absurdly large; the text says when and what to do."""


class DrawEpoch(keras.callbacks.Callback):
    """Tell the batches which epoch they are drawn for.

    Args:
        batches: The training batches.
    """

    def __init__(self, batches: Batches) -> None:
        super().__init__()
        self._batches = batches

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Pass the epoch on."""
        self._batches.epoch = epoch


class StopDivergence(keras.callbacks.Callback):
    """Stop a run whose loss is lost, before a checkpoint can be written over the last good one.

    Args:
        classes: Number of classes; five times the loss of guessing, ``log(classes)`` nats, over an epoch is too much.
        advice: What the error tells to do.
    """

    def __init__(self, classes: int, *, advice: str) -> None:
        super().__init__()
        self._limit = 5 * math.log(classes)
        self._advice = advice
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Remember the epoch, for the error's text."""
        self._epoch = epoch + 1

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Raise if the loss is not a number."""
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            raise DivergenceError(f"the loss became {loss} in epoch {self._epoch}, step {batch + 1}. {self._advice}")

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Raise if the loss of a whole epoch is absurd, or a weight is no number."""
        loss = (logs or {}).get("loss", 0.0)
        if loss > self._limit:
            raise DivergenceError(f"the loss rose to {loss:.3g} nats in epoch {epoch + 1}. {self._advice}")
        # the last step's loss was computed before its update, which may be what went wrong
        for weight in self.model.weights:
            if not np.isfinite(keras.ops.convert_to_numpy(weight)).all():
                raise DivergenceError(f"{weight.path} became NaN or infinite in epoch {epoch + 1}. {self._advice}")


class KeepBest(keras.callbacks.Callback):
    """Save the model whenever validation is better than ever: higher accuracy or, at the same, lower loss.

    Args:
        save: Called with the epoch's logs while the model has the weights to save.
    """

    def __init__(self, save: Callable[[dict[str, float]], None]) -> None:
        super().__init__()
        self._save = save
        self.best_accuracy = -math.inf
        self.best_loss = math.inf

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Compare and save."""
        logs = logs or {}
        accuracy, loss = logs["val_accuracy"], logs["val_loss"]
        if (accuracy, -loss) > (self.best_accuracy, -self.best_loss):
            self.best_accuracy, self.best_loss = float(accuracy), float(loss)
            self._save(logs)


class AverageEpochs(keras.callbacks.Callback):
    """Stochastic weight averaging: the mean of weights and moving statistics after the last epochs becomes the model.

    Args:
        last: How many epochs.
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
        """Put the mean in."""
        if self.count > 1:
            self.model.set_weights([total / self.count for total in self.total])


class WriteHistory(keras.callbacks.Callback):
    """Keep a row for each epoch, and the file of them up to date.

    Args:
        path: The CSV file.

    Attributes:
        rows: ``epoch`` counted from 1, ``loss``, ``accuracy``, their ``val_`` twins where pictures are held out,
            ``learning_rate`` at the epoch's end and ``seconds``.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self.rows: list[dict[str, float]] = []

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Start the clock."""
        self._began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Add the row and write the file."""
        row: dict[str, float] = {"epoch": epoch + 1}
        row.update({name: float(value) for name, value in (logs or {}).items()})
        row["learning_rate"] = float(self.model.optimizer.learning_rate)
        row["seconds"] = round(time.perf_counter() - self._began, 2)
        self.rows.append(row)
        write_history(self._path, self.rows)
