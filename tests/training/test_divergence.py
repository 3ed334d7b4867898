from __future__ import annotations

import math

import keras
import numpy as np
import pytest

from factories import raises
from resnet50.training.divergence import DivergenceError, StopDivergence


@pytest.fixture
def model():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


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
