"""Heads: names, numbers and what they compute."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from resnet50 import heads
from resnet50.model import build_resnet50


def features(*shape: int) -> np.ndarray:
    return np.random.default_rng(5).normal(0.5, 1, shape).astype("float32")


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def head_model(head, *options) -> keras.Model:
    x = keras.Input((5, 3, 9))
    return keras.Model(x, head(x, *options))


def test_linear_head_is_an_average_and_a_dense_softmax(random_weights):
    model = random_weights(head_model(heads.linear, 4))
    assert [layer.name for layer in model.layers[1:]] == ["avg_pool", "predictions"]
    kernel, bias = model.get_weights()
    x = features(6, 5, 3, 9)
    expected = softmax(x.mean(axis=(1, 2), dtype="float64") @ kernel + bias)
    np.testing.assert_allclose(np.asarray(model(x)), expected, rtol=1e-5)


def test_linear_head_without_activation_gives_logits(random_weights):
    model = random_weights(head_model(heads.linear, 4, None))
    kernel, bias = model.get_weights()
    x = features(6, 5, 3, 9)
    expected = x.mean(axis=(1, 2), dtype="float64") @ kernel + bias
    np.testing.assert_allclose(np.asarray(model(x)), expected, rtol=1e-5, atol=1e-6)
    assert (expected < 0).any()


def test_mlp_head_is_two_dense_layers_before_the_classifier(random_weights):
    model = random_weights(head_model(heads.mlp, 4))
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
    assert [model.get_layer(f"head_dropout_{n}").rate for n in (512, 128)] == [0.5, 0.5]
    assert not np.allclose(np.asarray(model(x, training=True)), expected, rtol=1e-3)


@pytest.mark.parametrize("head", [heads.linear, heads.mlp])
def test_probabilities_are_float32_under_any_policy(head):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = head_model(head, 4)
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.get_layer("avg_pool").compute_dtype == "bfloat16"
    assert model.get_layer("predictions").compute_dtype == "float32"
    assert model.outputs[0].dtype == "float32"


def test_a_head_is_found_by_name_or_is_the_function_itself():
    def own(x, classes):
        return x[:, :classes]

    assert heads.find_head("linear") is heads.linear
    assert heads.find_head("mlp") is heads.mlp
    assert heads.find_head(own) is own
    assert set(heads.HEADS) == {"linear", "mlp"}


@pytest.mark.parametrize("head", ["deep", "", None, 3])
def test_an_unknown_head_is_refused_with_the_names_of_those_there_are(head):
    with pytest.raises(ValueError, match=rf"head must be one of linear, mlp, or a function, got {head!r}\."):
        heads.find_head(head)


def test_the_table_of_heads_cannot_be_changed():
    with pytest.raises(TypeError):
        heads.HEADS["linear"] = heads.mlp


def test_classifier_with_the_mlp_head(tiny_stages, random_weights, tmp_path):
    model = random_weights(build_resnet50(5, input_shape=(40, 48, 3), stages=tiny_stages, head="mlp"))
    pixels = np.random.default_rng(0).integers(0, 256, (3, 40, 48, 3), dtype="uint8")
    probabilities = np.asarray(model(pixels))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    model.save(tmp_path / "mlp.keras")
    np.testing.assert_array_equal(np.asarray(keras.saving.load_model(tmp_path / "mlp.keras")(pixels)), probabilities)


def test_classifier_with_a_head_of_ones_own(tiny_stages, random_weights):
    seen = []

    def own(x, classes):
        seen.append((tuple(x.shape), classes))
        x = keras.layers.GlobalMaxPooling2D(name="own_pool")(x)
        return keras.layers.Dense(classes, activation="softmax", name="own_classes")(x)

    model = random_weights(build_resnet50(5, input_shape=(40, 48, 3), stages=tiny_stages, head=own))
    assert seen == [((None, 5, 6, 24), 5)]
    assert [layer.name for layer in model.layers[-2:]] == ["own_pool", "own_classes"]
    assert not any(isinstance(layer, keras.Model) for layer in model.layers)
    np.testing.assert_allclose(np.asarray(model(features(3, 40, 48, 3))).sum(axis=1), 1, rtol=1e-5)
