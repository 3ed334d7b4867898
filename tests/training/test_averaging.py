from __future__ import annotations

import keras
import numpy as np
import pytest

from resnet50.training.averaging import ValidateAverage, WeightAverage, averaged


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
    fit(model, [WeightAverage(3, 5), after])
    for found, *last in zip(model.get_weights(), *seen[2:], strict=True):
        np.testing.assert_allclose(found, sum(last) / 3, rtol=1e-6)


def test_one_epoch_is_left_as_it_is(model):
    seen = []
    after = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(model.get_weights()))
    fit(model, [WeightAverage(1, 5), after])
    np.testing.assert_array_equal(model.get_weights()[0], seen[-1][0])


@pytest.fixture
def averaging():
    """A model whose optimizer keeps a running average, with weights that are far from it."""
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
