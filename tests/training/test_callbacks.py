from __future__ import annotations

import math

import keras
import numpy as np
import pytest

from factories import raises
from resnet50.training import callbacks as module
from resnet50.training.callbacks import (
    AverageEpochs,
    DivergenceError,
    KeepBest,
    StopDivergence,
    ValidateAverage,
    averaged,
    check_callbacks,
    phase_callbacks,
)
from resnet50.training.recipe import Phase, Recipe


@pytest.fixture
def model():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def fit(model, callbacks, epochs=5):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(8, 2)).astype("float32")
    y = x.sum(axis=1, keepdims=True)
    model.fit(x, y, epochs=epochs, verbose=0, callbacks=callbacks)


def test_the_mean_of_the_last_epochs_becomes_the_model(model):
    seen = []
    after = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(model.get_weights()))
    fit(model, [AverageEpochs(3, 5), after])
    for found, *last in zip(model.get_weights(), *seen[2:], strict=True):
        np.testing.assert_allclose(found, sum(last) / 3, rtol=1e-6)


def test_one_epoch_is_left_as_it_is(model):
    seen = []
    after = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(model.get_weights()))
    fit(model, [AverageEpochs(1, 5), after])
    np.testing.assert_array_equal(model.get_weights()[0], seen[-1][0])


def test_a_weight_that_is_no_number_stops_at_the_end_of_the_epoch(model):
    guard = StopDivergence(6, advice="Do this.")
    guard.set_model(model)
    model.set_weights([np.ones((2, 1)), np.array([np.inf])])
    with raises(DivergenceError, "bias", 4, "Do this."):
        guard.on_epoch_end(3, {"loss": 0.5})


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_no_number_stops_at_once(loss):
    guard = StopDivergence(6, advice="Do this.")
    guard.on_epoch_begin(2)
    with raises(DivergenceError, loss, 3, 8, "Do this."):
        guard.on_train_batch_end(7, {"loss": loss})


def test_an_absurd_loss_stops_at_the_end_of_the_epoch(model):
    guard = StopDivergence(6, advice="Do this.")
    guard.set_model(model)
    guard.on_epoch_end(0, {"loss": 8.9})  # five times log(6) is 8.96
    with raises(DivergenceError, 9, 2, "Do this."):
        guard.on_epoch_end(1, {"loss": 9.0})


def test_the_best_is_the_highest_accuracy_then_the_lowest_loss():
    taken, written = [], []

    def take(logs):
        taken.append(logs["n"])
        return lambda: written.append(logs["n"])

    best = KeepBest(take)
    for n, (accuracy, loss) in enumerate([(0.5, 1.0), (0.5, 1.1), (0.5, 0.9), (0.4, 0.1), (0.6, 2.0), (0.6, 2.0)]):
        best.on_epoch_end(n, {"val_accuracy": accuracy, "val_loss": loss, "n": n})
        if n in (3, 4, 5):
            best.write()
    assert taken == [0, 2, 4]
    assert written == [2, 4]  # the last that was taken, and each once
    assert (best.best_accuracy, best.best_loss) == (0.6, 2.0)


@pytest.fixture
def averaging():
    """A model whose optimiser keeps a running average, with weights that are far from it."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.3, use_ema=True, ema_momentum=0.5), "mse")
    return model


class Look(keras.callbacks.Callback):
    """Note the kernel while it is validated, and around."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def look(self, *_, logs=None):
        self.seen.append(self.model.get_weights()[0].copy())

    on_test_batch_end = on_epoch_end = on_train_batch_end = look


def test_what_is_validated_is_the_running_average_and_training_goes_on_with_the_weights(averaging):
    look = Look()
    x, y = np.eye(2, dtype="float32"), np.array([[1.0], [-1.0]], "float32")
    averaging.fit(x, y, epochs=2, batch_size=2, validation_data=(x, y), verbose=0, callbacks=[ValidateAverage(), look])
    first, validated_first, end_first, second, validated_second, end_second = look.seen
    np.testing.assert_array_equal(validated_first, first)  # the average begins with the first step's weights
    np.testing.assert_array_equal(end_first, first)
    np.testing.assert_allclose(validated_second, (first + second) / 2, rtol=1e-6)
    np.testing.assert_array_equal(end_second, second)
    np.testing.assert_array_equal(averaging.get_weights()[0], validated_second)


def test_the_weights_come_back_when_the_block_fails(averaging):
    x, y = np.eye(2, dtype="float32"), np.array([[1.0], [-1.0]], "float32")
    averaging.train_on_batch(x, y)
    averaging.train_on_batch(x, y)
    before = averaging.get_weights()
    with pytest.raises(KeyError), averaged(averaging):
        assert (averaging.get_weights()[0] != before[0]).all()
        raise KeyError
    np.testing.assert_array_equal(averaging.get_weights()[0], before[0])


def test_without_a_running_average_a_block_sees_the_weights(model):
    before = model.get_weights()[0]
    with averaged(model):
        np.testing.assert_array_equal(model.get_weights()[0], before)


def test_a_phase_brings_keras_own_callbacks():
    assert phase_callbacks(Phase(epochs=2)) == []
    plateau, stopping = phase_callbacks(
        Phase(epochs=2, schedule="plateau", rate_factor=0.3, rate_patience=4, patience=7)
    )
    assert type(plateau) is keras.callbacks.ReduceLROnPlateau
    assert (plateau.monitor, plateau.factor, plateau.patience) == ("val_loss", 0.3, 4)
    assert type(stopping) is keras.callbacks.EarlyStopping
    assert (stopping.monitor, stopping.patience) == ("val_loss", 7)


@pytest.mark.parametrize(
    ("numbers", "callback", "values"),
    [
        (
            {"average_epochs": 2},
            keras.callbacks.EarlyStopping("loss"),
            ("EarlyStopping", 2, "average_epochs"),
        ),
        (
            {"ema": 0.9},
            keras.callbacks.EarlyStopping("loss", restore_best_weights=True),
            ("EarlyStopping", "restore_best_weights", "keep", "'best'"),
        ),
    ],
)
def test_callbacks_that_spoil_an_average_are_refused(numbers, callback, values):
    with raises(ValueError, *values):
        check_callbacks(Recipe(name="x", epochs=4, **numbers), [callback])
    check_callbacks(Recipe(name="x", epochs=4), [callback])


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
            ("EarlyStopping", "val_loss", "validation", 0),
        ),
    ],
)
def test_callbacks_that_cannot_work_are_refused(callback, values):
    recipe = Recipe(name="x", epochs=4, schedule="constant", warmup_epochs=0, before=(Phase(epochs=1),))
    with raises(ValueError, *values):
        check_callbacks(recipe, [callback])


def test_callbacks_that_can_work_are_not_refused():
    recipe = Recipe(name="x", epochs=4, schedule="constant", warmup_epochs=0, validation=0.2)
    callbacks = [keras.callbacks.ReduceLROnPlateau(), keras.callbacks.EarlyStopping(), keras.callbacks.Callback()]
    check_callbacks(recipe, callbacks)


@pytest.mark.parametrize("missing", [{"tensorboard"}, {"tensorflow"}, {"tensorflow", "tensorboard"}])
def test_tensorboard_needs_two_packages(monkeypatch, missing):
    monkeypatch.setattr(module, "find_spec", lambda name: None if name in missing else object())
    with raises(ValueError, "TensorBoard", *missing, "resnet50[tensorboard]"):
        check_callbacks(Recipe(name="x", epochs=4), [keras.callbacks.TensorBoard("logs", write_graph=False)])
