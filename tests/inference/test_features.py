"""The features of a classifier are the input of its last dense layer."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from factories import noise, raises, tiny_model
from resnet50.inference.features import feature_model, pooled_feature_model


@pytest.mark.parametrize(("head", "width"), [("linear", 24), ("norm", 24), ("mlp", 128), ("flatten", 384)])
def test_the_last_layer_turns_them_into_the_probabilities(head, width):
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


@pytest.mark.parametrize(
    ("at", "shape"), [("conv2_block2_out", (10, 12, 16)), ("conv3_block1_2_relu", (5, 6, 7)), ("avg_pool", (24,))]
)
def test_the_features_of_another_layer(at, shape):
    model = tiny_model(4, size=(40, 48), seed=3)
    images = noise(2, 40, 48, 3)
    found, pooled = feature_model(model, at=at), pooled_feature_model(model, at=at)
    assert found.output_shape == (None, *shape)
    maps, rows = np.asarray(found(images)), np.asarray(pooled(images))
    assert rows.shape == (2, shape[-1])
    np.testing.assert_allclose(rows, maps.reshape(2, -1, shape[-1]).mean(axis=1), rtol=1e-4, atol=1e-5)
    below = model.get_layer("predictions")
    if at == "avg_pool":
        np.testing.assert_allclose(np.asarray(below(rows)), np.asarray(model(images)), atol=1e-6)


def test_a_layer_that_does_not_exist_is_refused_with_the_nearest():
    with raises(ValueError, "'resnet14'", "'conv3_block3_out'", "conv3_block2_out?"):
        feature_model(tiny_model(), at="conv3_block3_out")


def test_features_of_a_model_without_a_dense_layer():
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, layers.Reshape((64, 3), name="rows")(layers.ReLU(name="relu")(inputs)), name="plain")
    assert feature_model(model, at="relu").output_shape == (None, 8, 8, 3)
    assert feature_model(model, at="rows").output_shape == (None, 64, 3)
    with raises(ValueError, "'plain'", "'rows'", "(None, 64, 3)"):
        pooled_feature_model(model, at="rows")


def test_a_model_without_a_dense_layer_is_refused():
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, layers.GlobalAveragePooling2D()(inputs), name="plain")
    with raises(ValueError, "'plain'", "dense"):
        feature_model(model)
