"""Receptive fields of a Keras model: by geometry, and by gradients."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from factories import noise, raises, tiny_model
from resnet50.conventions import V1_5
from resnet50.graph.geometry import ReceptiveField
from resnet50.metrics.receptive_field import effective_receptive_field, receptive_field


def test_the_last_map_is_the_default():
    model = tiny_model(conventions=V1_5)
    assert receptive_field(model) == receptive_field(model, at="conv3_block2_out")
    assert receptive_field(model) == ReceptiveField((51, 51), (8, 8), (0.0, 0.0))
    assert receptive_field(model, at="conv2_block2_out") == ReceptiveField((27, 27), (4, 4), (0.0, 0.0))


@pytest.mark.parametrize(
    "function", [receptive_field, lambda model, at: effective_receptive_field(model, IMAGES, at=at)]
)
@pytest.mark.parametrize("at", ["avg_pool", "predictions", "conv9"])
def test_a_layer_without_positions_is_refused(function, at):
    with raises(ValueError, "'resnet14'", repr(at)):
        function(tiny_model(), at=at)


IMAGES = noise(2, 32, 40, 3)


def test_a_model_without_a_graph_is_refused():
    with raises(ValueError, "functional", "Sequential"):
        receptive_field(keras.Sequential([layers.Dense(1)], name="other"))


def test_for_one_convolution_it_is_its_kernel():
    inputs = keras.Input((8, 9, 2))
    layer = layers.Conv2D(3, (3, 5), padding="same", name="conv")
    model = keras.Model(inputs, layer(inputs))
    kernel = np.random.default_rng(0).normal(size=(3, 5, 2, 3)).astype("float32")
    layer.set_weights([kernel, np.zeros(3, "float32")])
    expected = np.zeros((8, 9))
    expected[3:6, 2:7] = np.abs(kernel.sum(axis=3)).sum(axis=2)  # around the cell (4, 4)
    images = noise(3, 8, 9, 2)
    found = effective_receptive_field(model, images)
    assert (found.dtype, found.shape) == (np.float32, (8, 9))
    np.testing.assert_allclose(found, expected / expected.max(), atol=1e-6)
    corner = effective_receptive_field(model, images, cell=(0, 8))
    assert np.argwhere(corner > 0).max(axis=0).tolist() == [1, 8]
    assert np.argwhere(corner > 0).min(axis=0).tolist() == [0, 6]


def test_it_is_the_mean_of_absolute_gradients_inside_the_theoretical_field():
    model = tiny_model(size=(96, 99), seed=2)
    images = noise(3, 96, 99, 3)
    found = effective_receptive_field(model, images, at="conv2_block2_out", cell=(12, 10))
    places = np.argwhere(found > 0)
    assert (places.min(axis=0) >= (48 - 13, 40 - 13)).all()
    assert (places.max(axis=0) <= (48 + 13, 40 + 13)).all()
    assert found.max() == 1
    alone = [effective_receptive_field(model, image[None], at="conv2_block2_out", cell=(12, 10)) for image in images]
    assert not np.allclose(found, alone[0], atol=0.05)
    middle = np.average(places, axis=0, weights=found[found > 0])
    np.testing.assert_allclose(middle, (48, 40), atol=3)
