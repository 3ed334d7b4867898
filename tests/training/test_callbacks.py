from __future__ import annotations

import math

import keras
import numpy as np
import pytest

from resnet50.training.callbacks import AverageEpochs, DivergenceError, KeepBest, StopDivergence


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
    with pytest.raises(DivergenceError, match=r"bias became NaN or infinite in epoch 4\. Do this\."):
        guard.on_epoch_end(3, {"loss": 0.5})


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_no_number_stops_at_once(loss):
    guard = StopDivergence(6, advice="Do this.")
    guard.on_epoch_begin(2)
    with pytest.raises(DivergenceError, match=rf"the loss became {loss} in epoch 3, step 8\. Do this\."):
        guard.on_train_batch_end(7, {"loss": loss})


def test_an_absurd_loss_stops_at_the_end_of_the_epoch(model):
    guard = StopDivergence(6, advice="Do this.")
    guard.set_model(model)
    guard.on_epoch_end(0, {"loss": 8.9})  # five times log(6) is 8.96
    with pytest.raises(DivergenceError, match=r"the loss rose to 9 nats in epoch 2\. Do this\."):
        guard.on_epoch_end(1, {"loss": 9.0})


def test_the_best_is_the_highest_accuracy_then_the_lowest_loss():
    saved = []
    best = KeepBest(lambda logs: saved.append(logs["n"]))
    for n, (accuracy, loss) in enumerate([(0.5, 1.0), (0.5, 1.1), (0.5, 0.9), (0.4, 0.1), (0.6, 2.0), (0.6, 2.0)]):
        best.on_epoch_end(n, {"val_accuracy": accuracy, "val_loss": loss, "n": n})
    assert saved == [0, 2, 4]
    assert (best.best_accuracy, best.best_loss) == (0.6, 2.0)
