"""Callbacks beyond Keras' own, and checks on the caller's callbacks."""

from __future__ import annotations

import math
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import keras

from resnet50._io.interruption import signals_held_back
from resnet50.data.batches import Batches
from resnet50.training.history import write_history
from resnet50.training.phases import Phase
from resnet50.training.recipe import Recipe

ROUNDING = 1e-6
"""How much equal accuracies may differ: an epoch's is float32, a probe's is not."""


class SetEpoch(keras.callbacks.Callback):
    """Set the epoch that the batches are drawn for.

    Args:
        batches: The training batches.
    """

    def __init__(self, batches: Batches) -> None:
        super().__init__()
        self._batches = batches

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Set the epoch."""
        self._batches.epoch = epoch


class WriteHistory(keras.callbacks.Callback):
    """Collect a row for each epoch, and write all rows after each.

    Args:
        path: The CSV file.

    Attributes:
        phase: Number of the phase, counted from 1, for the rows of a run of several; None for no such column.
        rows: ``epoch`` counted from 1, ``phase``, ``loss``, ``accuracy``, ``val_loss`` and ``val_accuracy`` where there
            is a validation split, ``learning_rate`` at the epoch's end, where there is one, and ``seconds``.
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
        scores = {name: float(value) for name, value in (logs or {}).items()}
        rate, seconds = float(self.model.optimizer.learning_rate), time.perf_counter() - self._began
        self.add({"epoch": epoch + 1, **scores, "learning_rate": rate, "seconds": seconds})

    def add(self, row: Mapping[str, float]) -> None:
        """Add a row, and write the file."""
        epoch = {"epoch": row["epoch"], **({"phase": self.phase} if self.phase else {})}
        self.rows.append({**epoch, **row, "seconds": round(row["seconds"], 2)})
        try:
            write_history(self._path, self.rows)
        except PermissionError as error:
            if sys.platform != "win32":
                raise
            # a spreadsheet has it open; the rows are in the checkpoint too, and the next epoch writes all of them
            warnings.warn(f"{error} The training goes on.", stacklevel=2)


class KeepBest(keras.callbacks.Callback):
    """Copy the model whenever validation improves: higher accuracy, or the same accuracy and lower loss.

    The copy is written with the next checkpoint: writing a file after every improvement took a sixth of an epoch
    of SIGNS.

    Args:
        copy: Called with the epoch's logs while the model has the best weights; returns the function that writes
            the copy.

    Attributes:
        best_accuracy: Validation accuracy of the best epoch, 0..1; minus infinity before the first.
        best_loss: Its validation loss.
        epoch: Its number in the run, counted from 1; 0 before the first.
        before: Best validation accuracy when the current phase began.
        frozen: Layer up to which the network was frozen in it, and its features stored; "" for none.
        probe: Versions of each image and ``C`` of the linear probe that gave its head; empty for another head.
    """

    def __init__(self, copy: Callable[[dict[str, float]], Callable[[], None]]) -> None:
        super().__init__()
        self._copy = copy
        self._write: Callable[[], None] | None = None
        self.best_accuracy = -math.inf
        self.best_loss = math.inf
        self.epoch = 0
        self.before = -math.inf
        self.frozen = ""
        self.probe: tuple[Any, ...] = ()

    def forget(self) -> None:
        """Begin anew, as for other validation images."""
        self.best_accuracy, self.best_loss, self.epoch, self._write = -math.inf, math.inf, 0, None

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Compare, and copy if validation improved."""
        logs = logs or {}
        accuracy, loss = logs["val_accuracy"], logs["val_loss"]
        gain = accuracy - self.best_accuracy
        if gain > ROUNDING or (gain >= -ROUNDING and loss < self.best_loss):
            with signals_held_back():  # an interruption must not write half a copy
                self.best_accuracy, self.best_loss, self.epoch = float(accuracy), float(loss), epoch + 1
                self._write = self._copy(logs)

    def write(self) -> None:
        """Write the latest copy, if it is not written yet."""
        if self._write:
            self._write()
            self._write = None


def phase_callbacks(phase: Phase) -> list[keras.callbacks.Callback]:
    """Return Keras' callbacks that end a phase early or lower its learning rate, by its validation loss."""
    callbacks: list[keras.callbacks.Callback] = []
    if phase.schedule == "plateau":
        callbacks.append(keras.callbacks.ReduceLROnPlateau(factor=phase.lr_factor, patience=phase.lr_patience))
    if phase.patience:
        callbacks.append(keras.callbacks.EarlyStopping(patience=phase.patience))
    return callbacks


def check_callbacks(recipe: Recipe, callbacks: Sequence[keras.callbacks.Callback]) -> None:
    """Refuse callbacks that cannot work with this recipe.

    Raises:
        ValueError: If a callback sets a learning rate that a schedule sets, monitors validation where there is none,
            ends or changes epochs that are averaged, or is a TensorBoard whose packages are not installed.
    """
    scheduled = [phase.schedule for phase in recipe.phases if isinstance(phase, Phase) and phase.schedule != "constant"]
    for callback in callbacks:
        name = type(callback).__name__
        setters = (keras.callbacks.ReduceLROnPlateau, keras.callbacks.LearningRateScheduler)
        if isinstance(callback, setters) and scheduled:
            raise ValueError(
                f"{name} sets the learning rate: expected the schedule 'constant', got {scheduled[0]!r}; change the "
                "schedule, or leave the callback out."
            )
        if str(getattr(callback, "monitor", "")).startswith("val_") and not recipe.validation_split:
            raise ValueError(
                f"{name}: expected validation images for {callback.monitor}, got validation_split 0; set it above 0."
            )
        if isinstance(callback, keras.callbacks.EarlyStopping) and recipe.swa_epochs > 1:
            raise ValueError(
                f"{name} may end the run early: expected swa_epochs to be 1, got {recipe.swa_epochs}; set it to 1, or "
                "leave the callback out."
            )
        if getattr(callback, "restore_best_weights", False) and recipe.ema:
            raise ValueError(
                f"{name}: expected restore_best_weights to be False, since the running average (ema) replaces the "
                "weights, got True; set restore_best of the recipe instead."
            )
        if isinstance(callback, keras.callbacks.TensorBoard):
            missing = [package for package in ("tensorflow", "tensorboard") if find_spec(package) is None]
            if missing:
                raise ValueError(
                    f"TensorBoard: expected the packages tensorflow and tensorboard, got no "
                    f"{' and no '.join(missing)}; pip install 'resnet50[tensorboard]'."
                )
