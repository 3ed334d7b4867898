from __future__ import annotations

import errno
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from factories import raises
from resnet50.training import callbacks as module
from resnet50.training.callbacks import KeepBest, WriteHistory, check_callbacks, phase_callbacks
from resnet50.training.history import read_history
from resnet50.training.phases import Phase
from resnet50.training.recipe import Recipe


def test_the_best_is_the_highest_accuracy_then_the_lowest_loss():
    copied, written = [], []

    def copy(logs):
        copied.append(logs["n"])
        return lambda: written.append(logs["n"])

    best = KeepBest(copy)
    for n, (accuracy, loss) in enumerate([(0.5, 1.0), (0.5, 1.1), (0.5, 0.9), (0.4, 0.1), (0.6, 2.0), (0.6, 2.0)]):
        best.on_epoch_end(n, {"val_accuracy": accuracy, "val_loss": loss, "n": n})
        if n in (3, 4, 5):
            best.write()
    assert copied == [0, 2, 4]
    assert written == [2, 4]  # the latest copy, and each once
    assert (best.best_accuracy, best.best_loss, best.epoch) == (0.6, 2.0, 5)
    best.forget()
    assert (best.best_accuracy, best.epoch) == (-np.inf, 0)


def test_equal_accuracies_are_equal_however_they_are_rounded():
    """A probe counts in float64, and Keras in float32."""
    for share in (14 / 30, 629 / 640):
        copied = []
        best = KeepBest(lambda logs, copied=copied: copied.append(logs["val_loss"]))
        for accuracy, loss in ((share, 1.7), (float(np.float32(share)), 2.0), (share, 1.6)):
            best.on_epoch_end(0, {"val_accuracy": accuracy, "val_loss": loss})
        assert float(np.float32(share)) > share
        assert copied == [1.7, 1.6]


def test_a_phase_brings_keras_own_callbacks():
    assert phase_callbacks(Phase(epochs=2)) == []
    plateau, stopping = phase_callbacks(Phase(epochs=2, schedule="plateau", lr_factor=0.3, lr_patience=4, patience=7))
    assert type(plateau) is keras.callbacks.ReduceLROnPlateau
    assert (plateau.monitor, plateau.factor, plateau.patience) == ("val_loss", 0.3, 4)
    assert type(stopping) is keras.callbacks.EarlyStopping
    assert (stopping.monitor, stopping.patience) == ("val_loss", 7)


@pytest.mark.parametrize(
    ("numbers", "callback", "values"),
    [
        (
            {"swa_epochs": 2},
            keras.callbacks.EarlyStopping("loss"),
            ("EarlyStopping", 2, "swa_epochs"),
        ),
        (
            {"ema": 0.9},
            keras.callbacks.EarlyStopping("loss", restore_best_weights=True),
            ("EarlyStopping", "restore_best_weights", "ema", "restore_best"),
        ),
    ],
)
def test_callbacks_that_spoil_an_average_are_refused(numbers, callback, values):
    with raises(ValueError, *values):
        check_callbacks(Recipe(name="x", phases=(Phase(epochs=4),), **numbers), [callback])
    check_callbacks(Recipe(name="x", phases=(Phase(epochs=4),)), [callback])


@pytest.mark.parametrize(
    ("callback", "values"),
    [
        (
            keras.callbacks.ReduceLROnPlateau("loss"),
            ("ReduceLROnPlateau", "'cosine'", "'constant'"),
        ),
        (
            keras.callbacks.LearningRateScheduler(lambda epoch: 0.1),
            ("LearningRateScheduler", "'cosine'", "'constant'"),
        ),
        (
            keras.callbacks.EarlyStopping(),
            ("EarlyStopping", "val_loss", "validation_split", 0),
        ),
    ],
)
def test_callbacks_that_cannot_work_are_refused(callback, values):
    recipe = Recipe(name="x", phases=(Phase(epochs=1), Phase(epochs=4, schedule="constant")))
    with raises(ValueError, *values):
        check_callbacks(recipe, [callback])


def test_callbacks_that_can_work_are_not_refused():
    recipe = Recipe(name="x", phases=(Phase(epochs=4, schedule="constant"),), validation_split=0.2)
    callbacks = [keras.callbacks.ReduceLROnPlateau(), keras.callbacks.EarlyStopping(), keras.callbacks.Callback()]
    check_callbacks(recipe, callbacks)


@pytest.mark.parametrize("missing", [{"tensorboard"}, {"tensorflow"}, {"tensorflow", "tensorboard"}])
def test_tensorboard_needs_two_packages(monkeypatch, missing):
    monkeypatch.setattr(module, "find_spec", lambda name: None if name in missing else object())
    with raises(ValueError, "TensorBoard", *missing, "resnet50[tensorboard]"):
        check_callbacks(
            Recipe(name="x", phases=(Phase(epochs=4),)), [keras.callbacks.TensorBoard("logs", write_graph=False)]
        )


def test_a_spreadsheet_that_has_the_file_open_on_windows_does_not_end_the_training(tmp_path, monkeypatch):
    callback = WriteHistory(tmp_path / "history.csv")
    callback.set_model(SimpleNamespace(optimizer=SimpleNamespace(learning_rate=0.1)))
    replace = Path.replace

    def refuse(path, target):
        raise PermissionError(errno.EACCES, "Access is denied")

    def end_epoch(epoch):
        callback.on_epoch_begin(epoch)
        callback.on_epoch_end(epoch, {"loss": 1.0})

    monkeypatch.setattr(Path, "replace", refuse)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.warns(UserWarning, match="history.csv"):
        end_epoch(0)
    monkeypatch.setattr(Path, "replace", replace)
    end_epoch(1)
    assert [row["epoch"] for row in read_history(tmp_path / "history.csv")] == [1, 2]
    monkeypatch.setattr(Path, "replace", refuse)
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(PermissionError):
        end_epoch(2)
