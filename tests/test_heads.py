"""Heads: names, numbers and what they compute."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from factories import fill_random, noise, raises, tiny_model
from resnet50 import heads


def features(*shape: int) -> np.ndarray:
    return np.random.default_rng(5).normal(0.5, 1, shape).astype("float32")


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def head_model(head, *options) -> keras.Model:
    x = keras.Input((5, 3, 9))
    return keras.Model(x, head(x, *options))


def test_linear_head_is_an_average_and_a_dense_softmax():
    model = fill_random(head_model(heads.linear, 4))
    assert [layer.name for layer in model.layers[1:]] == ["avg_pool", "predictions"]
    kernel, bias = model.get_weights()
    x = features(6, 5, 3, 9)
    expected = softmax(x.mean(axis=(1, 2), dtype="float64") @ kernel + bias)
    np.testing.assert_allclose(np.asarray(model(x)), expected, rtol=1e-5)


def test_linear_head_without_activation_gives_logits():
    model = fill_random(head_model(heads.linear, 4, None))
    kernel, bias = model.get_weights()
    x = features(6, 5, 3, 9)
    expected = x.mean(axis=(1, 2), dtype="float64") @ kernel + bias
    np.testing.assert_allclose(np.asarray(model(x)), expected, rtol=1e-5, atol=1e-6)
    assert (expected < 0).any()


def test_mlp_head_is_two_dense_layers_before_the_classifier():
    model = fill_random(head_model(heads.mlp, 4))
    assert [layer.name for layer in model.layers[1:]] == [
        "avg_pool",
        "head_dense_512",
        "head_dropout_512",
        "head_dense_128",
        "head_dropout_128",
        "predictions",
    ]
    assert model.count_params() == (9 * 512 + 512) + (512 * 128 + 128) + (128 * 4 + 4)
    k1, b1, k2, b2, k3, b3 = (w.astype("float64") for w in model.get_weights())
    x = features(6, 5, 3, 9)
    y = np.maximum(x.mean(axis=(1, 2), dtype="float64") @ k1 + b1, 0)
    expected = softmax(np.maximum(y @ k2 + b2, 0) @ k3 + b3)
    np.testing.assert_allclose(np.asarray(model(x)), expected, rtol=1e-5)
    assert not np.allclose(np.asarray(model(x, training=True)), expected, rtol=1e-3)


def test_norm_head_normalises_the_averages_before_the_classifier():
    model = fill_random(head_model(heads.norm, 4))
    assert [layer.name for layer in model.layers[1:]] == ["avg_pool", "head_bn", "predictions"]
    assert model.count_params() == 4 * 9 + (9 * 4 + 4)
    gamma, beta, mean, variance, kernel, bias = (w.astype("float64") for w in model.get_weights())
    x = features(6, 5, 3, 9)
    pooled = x.mean(axis=(1, 2), dtype="float64")
    y = (pooled - mean) / np.sqrt(variance + 1e-3) * gamma + beta
    np.testing.assert_allclose(np.asarray(model(x)), softmax(y @ kernel + bias), rtol=1e-4)
    y = (pooled - pooled.mean(axis=0)) / np.sqrt(pooled.var(axis=0) + 1e-3) * gamma + beta
    np.testing.assert_allclose(np.asarray(model(x, training=True)), softmax(y @ kernel + bias), rtol=1e-4)
    moved = model.get_layer("head_bn").get_weights()
    np.testing.assert_allclose(moved[2], 0.9 * mean + 0.1 * pooled.mean(axis=0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(moved[3], 0.9 * variance + 0.1 * pooled.var(axis=0), rtol=1e-4)


def test_flatten_head_sees_every_place_of_the_map():
    model = fill_random(head_model(heads.flatten, 4))
    assert [layer.name for layer in model.layers[1:]] == ["head_flatten", "head_dense_384", "predictions"]
    assert model.count_params() == (5 * 3 * 9 * 384 + 384) + (384 * 4 + 4)
    k1, b1, k2, b2 = (w.astype("float64") for w in model.get_weights())
    x = features(6, 5, 3, 9)
    expected = softmax(np.maximum(x.reshape(6, 135) @ k1 + b1, 0) @ k2 + b2)
    np.testing.assert_allclose(np.asarray(model(x)), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("sides", "map_sides"), [((None, None), (None, None)), ((None, 48), (None, 6)), ((40, None), (5, None))]
)
def test_flatten_head_needs_fixed_sides(sides, map_sides):
    with raises(ValueError, "'flatten'", "input_shape", (None, *map_sides, 24)):
        tiny_model(5, size=sides, seed=None, head="flatten")


@pytest.mark.parametrize("name", ["linear", "norm", "mlp"])
def test_heads_that_average_take_pictures_of_any_size(name):
    model = tiny_model(5, size=(None, None), seed=None, head=name)
    for shape in ((2, 40, 48, 3), (1, 33, 64, 3)):
        assert tuple(model(features(*shape)).shape) == (shape[0], 5)


@pytest.mark.parametrize("head", [heads.linear, heads.norm, heads.mlp, heads.flatten])
def test_probabilities_are_float32_under_any_policy(head):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = head_model(head, 4)
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.layers[1].compute_dtype == "bfloat16"
    assert model.get_layer("predictions").compute_dtype == "float32"
    assert model.outputs[0].dtype == "float32"


def test_a_head_is_found_by_name_or_is_the_function_itself():
    def own(x, classes):
        return x[:, :classes]

    assert heads.find_head("linear") is heads.linear
    assert heads.find_head("norm") is heads.norm
    assert heads.find_head("mlp") is heads.mlp
    assert heads.find_head("flatten") is heads.flatten
    assert heads.find_head(own) is own
    assert set(heads.HEADS) == {"linear", "norm", "mlp", "flatten"}


@pytest.mark.parametrize("head", ["deep", "", None, 3])
def test_an_unknown_head_is_refused_with_the_names_of_those_there_are(head):
    with raises(ValueError, "head", *heads.HEADS, repr(head)):
        heads.find_head(head)


def test_the_table_of_heads_cannot_be_changed():
    with pytest.raises(TypeError):
        heads.HEADS["linear"] = heads.mlp


@pytest.mark.parametrize("name", ["norm", "mlp", "flatten"])
def test_classifier_with_a_head_by_name(tmp_path, name):
    model = tiny_model(5, size=(40, 48), head=name)
    pixels = noise(3, 40, 48, 3)
    probabilities = np.asarray(model(pixels))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert model.output_names == ["predictions"]
    model.save(tmp_path / "one.keras")
    np.testing.assert_array_equal(np.asarray(keras.saving.load_model(tmp_path / "one.keras")(pixels)), probabilities)


def test_classifier_with_a_head_of_ones_own():
    seen = []

    def own(x, classes):
        seen.append((tuple(x.shape), classes))
        x = keras.layers.GlobalMaxPooling2D(name="own_pool")(x)
        return keras.layers.Dense(classes, activation="softmax", name="own_classes")(x)

    model = tiny_model(5, size=(40, 48), head=own)
    assert seen == [((None, 5, 6, 24), 5)]
    assert [layer.name for layer in model.layers[-2:]] == ["own_pool", "own_classes"]
    assert not any(isinstance(layer, keras.Model) for layer in model.layers)
    np.testing.assert_allclose(np.asarray(model(features(3, 40, 48, 3))).sum(axis=1), 1, rtol=1e-5)
