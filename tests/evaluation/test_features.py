"""The features of a classifier are what its last dense layer is given."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from factories import noise, raises, tiny_model
from resnet50.evaluation.features import feature_model


@pytest.mark.parametrize(("head", "width"), [("linear", 24), ("norm", 24), ("mlp", 128), ("flatten", 384)])
def test_the_last_layer_makes_the_probabilities_of_them(head, width):
    model = tiny_model(4, size=(40, 48), seed=3, head=head)
    images = noise(3, 40, 48, 3)
    before = np.asarray(model(images))
    features = np.asarray(feature_model(model)(images))
    assert features.shape == (3, width)
    assert features.dtype == np.float32
    kernel, bias = model.get_layer("predictions").get_weights()
    scores = features.astype("float64") @ kernel + bias
    expected = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(before, expected, rtol=1e-3, atol=1e-6)
    np.testing.assert_array_equal(np.asarray(model(images)), before)


def test_the_layers_are_the_classifiers_own():
    model = tiny_model(4, size=(40, 48))
    features = feature_model(model)
    assert features.layers == model.layers[:-1]


def test_a_model_without_a_dense_layer_is_refused():
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, layers.GlobalAveragePooling2D()(inputs), name="plain")
    with raises(ValueError, "'plain'", "dense"):
        feature_model(model)
