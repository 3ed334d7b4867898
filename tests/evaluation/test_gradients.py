"""A gradient on this backend; `test_grad_cam` has the others."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers, ops

from factories import raises
from resnet50.evaluation.gradients import gradient


def test_of_a_cube():
    x = np.random.default_rng(0).normal(size=(2, 3, 4)).astype("float32")
    slope = gradient(lambda x: ops.sum(x**3), x)
    assert slope.dtype == np.float32
    np.testing.assert_allclose(slope, 3 * x.astype("float64") ** 2, rtol=1e-5)


def test_of_a_layer_whose_weights_do_not_learn():
    dense = layers.Dense(2, use_bias=False, trainable=False)
    dense.build((None, 3))
    dense.set_weights([np.array([[1, 10], [2, 20], [3, 30]], "float32")])
    x = np.random.default_rng(1).normal(size=(4, 3))
    slope = gradient(lambda x: ops.sum(dense(x)[:, 1]), x)
    assert slope.dtype == np.float32
    np.testing.assert_array_equal(slope, np.tile([10, 20, 30], (4, 1)))


def test_a_backend_without_gradients_is_refused(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "numpy")
    with raises(ValueError, "KERAS_BACKEND", "tensorflow", "jax", "torch", "'numpy'"):
        gradient(ops.sum, np.zeros(2))
