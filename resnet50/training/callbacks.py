"""What Keras' own callbacks do not do: drawing an epoch's own batches, noticing divergence, keeping the best."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np

from resnet50.audit.check import Issue
from resnet50.data.batches import Batches
from resnet50.training.recipe import Phase, Recipe
from resnet50.training.run import write_history
from resnet50.weights.transfer import TransferReport


class DivergenceError(ValueError):
    """The loss became NaN, infinite or absurdly large; the text says when and what to do."""


class Progress(keras.callbacks.Callback):
    """A callback that shows a training, and is told what Keras' callbacks are not."""

    def begin_run(self, transfer: TransferReport | None, issues: Sequence[Issue]) -> None:
        """Show what pretrained weights gave the network, and what the audit found.

        Args:
            transfer: The report on the weights; None from scratch, or where a checkpoint holds all weights.
            findings: What is wrong with the images, the worst first.
        """

    def begin_phase(self, phase: int, epoch: int) -> None:
        """Show that a phase begins or goes on.

        Args:
            phase: Which, counted from 0.
            epoch: Epoch of the run at which the phase began, counted from 0.
        """


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
    """Take the model whenever validation is better than ever: higher accuracy or, at the same, lower loss.

    It is written with the next checkpoint: a file after every good epoch took a sixth of an epoch of SIGNS.

    Args:
        take: Called with the epoch's logs while the model has the weights to keep; returns what writes them.
    """

    def __init__(self, take: Callable[[dict[str, float]], Callable[[], None]]) -> None:
        super().__init__()
        self._take = take
        self._write: Callable[[], None] | None = None
        self.best_accuracy = -math.inf
        self.best_loss = math.inf

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Compare and take."""
        logs = logs or {}
        accuracy, loss = logs["val_accuracy"], logs["val_loss"]
        if (accuracy, -loss) > (self.best_accuracy, -self.best_loss):
            self.best_accuracy, self.best_loss = float(accuracy), float(loss)
            self._write = self._take(logs)

    def write(self) -> None:
        """Write what was taken since the last time, if anything."""
        if self._write:
            self._write()
            self._write = None


class WeightAverage(keras.callbacks.Callback):
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


class ValidateAverage(keras.callbacks.Callback):
    """Validate the running average of the weights, which is what becomes the trained model.

    Keras' `SwapEMAWeights` swaps the two by adding and subtracting them on TensorFlow, which rounds both; this puts the
    very same weights back.
    """

    def __init__(self) -> None:
        super().__init__()
        self._swapped = ExitStack()

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        """Put the average in."""
        self._swapped.enter_context(averaged(self.model))

    def on_test_end(self, logs: dict[str, float] | None = None) -> None:
        """Put the weights back."""
        self._swapped.close()


@contextmanager
def averaged(model: keras.Model) -> Iterator[None]:
    """Give a model the running average of its weights for a block, if its optimizer keeps one."""
    if not model.optimizer.use_ema:
        yield
        return
    weights = [np.array(keras.ops.convert_to_numpy(weight)) for weight in model.trainable_weights]
    model.optimizer.finalize_variable_values(model.trainable_weights)
    for weight in model.trainable_weights:
        # JAX would else give away the average's own memory with the weight's when it validates
        weight.assign(keras.ops.copy(weight.value))
    try:
        yield
    finally:
        for weight, value in zip(model.trainable_weights, weights, strict=True):
            weight.assign(value)


class WriteHistory(keras.callbacks.Callback):
    """Keep a row for each epoch, and the file of them up to date.

    Args:
        path: The CSV file.

    Attributes:
        phase: Number of the phase, counted from 1, for the rows of a run of several; None for no such column.
        rows: ``epoch`` counted from 1, ``phase``, ``loss``, ``accuracy``, their ``val_`` twins where images are held
            out, ``learning_rate`` at the epoch's end and ``seconds``.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self.phase: int | None = None
        self.rows: list[dict[str, float]] = []

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Start the clock."""
        self._began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Add the row and write the file."""
        row: dict[str, float] = {"epoch": epoch + 1, **({"phase": self.phase} if self.phase else {})}
        row.update({name: float(value) for name, value in (logs or {}).items()})
        row["learning_rate"] = float(self.model.optimizer.learning_rate)
        row["seconds"] = round(time.perf_counter() - self._began, 2)
        self.rows.append(row)
        write_history(self._path, self.rows)


def phase_callbacks(phase: Phase) -> list[keras.callbacks.Callback]:
    """Return Keras' callbacks that end a phase early or lower its rate, by its validation loss."""
    made: list[keras.callbacks.Callback] = []
    if phase.schedule == "plateau":
        made.append(keras.callbacks.ReduceLROnPlateau(factor=phase.lr_factor, patience=phase.lr_patience))
    if phase.patience:
        made.append(keras.callbacks.EarlyStopping(patience=phase.patience))
    return made


def check_callbacks(recipe: Recipe, callbacks: Sequence[keras.callbacks.Callback]) -> None:
    """Refuse callbacks that cannot do what they are for in a training by this recipe.

    Raises:
        ValueError: If one sets a rate that a schedule sets, watches a validation that there is none of, ends or changes
            what is to be averaged, or is a TensorBoard without the packages that it writes with.
    """
    scheduled = [phase.schedule for phase in recipe.phases if phase.schedule != "constant"]
    for callback in callbacks:
        name = type(callback).__name__
        setters = (keras.callbacks.ReduceLROnPlateau, keras.callbacks.LearningRateScheduler)
        if isinstance(callback, setters) and scheduled:
            raise ValueError(
                f"{name} sets the learning rate, which the schedule {scheduled[0]!r} sets too; "
                "use the schedule 'constant', or leave the callback out."
            )
        if str(getattr(callback, "monitor", "")).startswith("val_") and not recipe.validation_split:
            raise ValueError(f"{name} watches {callback.monitor}, but validation_split is 0; hold images out.")
        if isinstance(callback, keras.callbacks.EarlyStopping) and recipe.swa_epochs > 1:
            raise ValueError(
                f"{name} may end the run before the last {recipe.swa_epochs} epochs, which are to be averaged; "
                "set swa_epochs to 1, or leave the callback out."
            )
        if getattr(callback, "restore_best_weights", False) and recipe.ema:
            raise ValueError(
                f"{name} restores weights that the running average would replace; set restore_best instead of "
                "restore_best_weights."
            )
        if isinstance(callback, keras.callbacks.TensorBoard):
            missing = [package for package in ("tensorflow", "tensorboard") if find_spec(package) is None]
            if missing:
                raise ValueError(
                    f"TensorBoard needs the packages tensorflow and tensorboard, found no {' and no '.join(missing)}; "
                    "install resnet50[tensorboard]."
                )
