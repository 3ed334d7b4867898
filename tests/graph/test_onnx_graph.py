"""The ONNX graph in ONNX Runtime against the Keras model it was written from."""

from __future__ import annotations

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from keras import layers

from factories import NETWORKS, noise, raises, tiny_model
from resnet50.graph.fold_model import fold_batch_norm
from resnet50.graph.network_graph import graph_of
from resnet50.graph.onnx_graph import onnx_model

IMAGES = noise(3, 32, 40, 3).astype(np.float32)


def run(made, images):
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(["probabilities"], {"image": images})[0]


def tempered(model):
    """Bring the scores near each other, so that no probability is 0 or 1 and hides a difference."""
    last = model.layers[-1]
    scores = keras.Model(model.input, last.input).predict_on_batch(IMAGES) @ last.get_weights()[0]
    last.set_weights([weight / np.abs(scores).max() for weight in last.get_weights()])
    return model


@pytest.mark.slow
@pytest.mark.parametrize("folded", [False, True], ids=["whole", "folded"])
@pytest.mark.parametrize("options", NETWORKS.values(), ids=NETWORKS)
def test_computes_the_same(options, folded):
    model = tiny_model(seed=1, **options)
    model = tempered(fold_batch_norm(model) if folded else model)
    made = onnx_model(graph_of(model))
    onnx.checker.check_model(made, full_check=True)
    expected = model.predict_on_batch(IMAGES)
    assert expected.min() > 0.05
    np.testing.assert_allclose(run(made, IMAGES), expected, atol=1e-5)
    np.testing.assert_allclose(run(made, IMAGES[:1]), expected[:1], atol=1e-5)


def test_larger_constants_may_stay_apart():
    model = tempered(tiny_model(seed=1))
    apart = {}
    made = onnx_model(graph_of(model), apart=apart)
    declared = {each.name for each in made.graph.initializer if each.data_location == onnx.TensorProto.EXTERNAL}
    assert declared == set(apart)
    assert "conv1_conv/kernel" in declared
    assert all(array.nbytes >= 1024 for array in apart.values())
    options = onnxruntime.SessionOptions()
    options.add_external_initializers(
        list(apart), [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in apart.values()]
    )
    session = onnxruntime.InferenceSession(made.SerializeToString(), options, providers=["CPUExecutionProvider"])
    found = session.run(["probabilities"], {"image": IMAGES})[0]
    np.testing.assert_array_equal(found, run(onnx_model(graph_of(model)), IMAGES))


def test_nodes_have_the_names_of_the_layers():
    made = onnx_model(graph_of(tiny_model(seed=None)))
    names = {node.name for node in made.graph.node}
    assert {"conv1_conv", "conv2_block1_add", "conv3_block2_3_conv", "avg_pool", "predictions"} <= names
    assert [
        dimension.dim_param or dimension.dim_value for dimension in made.graph.input[0].type.tensor_type.shape.dim
    ] == [
        "n",
        32,
        40,
        3,
    ]


@pytest.mark.parametrize("size", [(9, 8), (8, 9)])
def test_pads_as_keras_does_where_a_window_strides(random_weights, size):
    inputs = keras.Input((*size, 4))
    x = layers.Conv2D(6, (3, 2), strides=2, padding="same", groups=2, use_bias=False)(inputs)
    x = layers.MaxPooling2D((2, 3), strides=2, padding="same")(x)
    model = random_weights(keras.Model(inputs, layers.Flatten()(x)))
    images = np.random.default_rng(0).normal(0, 1, (2, *size, 4)).astype(np.float32)
    np.testing.assert_allclose(run(onnx_model(graph_of(model)), images), model.predict_on_batch(images), atol=1e-5)


@pytest.mark.parametrize(
    ("widths", "layer", "separate"),
    [
        (1, lambda: layers.Conv2D(5, 3, strides=2), 0),
        (((1, 0), (2, 1)), lambda: layers.Conv2D(5, (2, 3)), 0),
        (1, lambda: layers.MaxPooling2D(3, strides=2), 0),
        (1, lambda: layers.Conv2D(5, 1), 1),  # a window of nothing but padding
        (((0, 2), (0, 0)), lambda: layers.MaxPooling2D(2), 1),
        (1, lambda: layers.Conv2D(5, 3, strides=2, padding="same"), 1),
    ],
)
def test_a_window_pads_the_map_itself(random_weights, widths, layer, separate):
    inputs = keras.Input((8, 9, 4))
    x = layers.Flatten()(layer()(layers.ZeroPadding2D(widths)(layers.Activation("relu")(inputs))))
    model = random_weights(keras.Model(inputs, x))
    made = onnx_model(graph_of(model))
    onnx.checker.check_model(made, full_check=True)
    assert [node.op_type for node in made.graph.node].count("Pad") == separate
    images = np.random.default_rng(0).normal(0, 1, (2, 8, 9, 4)).astype(np.float32)
    np.testing.assert_allclose(run(made, images), model.predict_on_batch(images), atol=1e-5)


def test_the_largest_of_values_below_zero_and_padding_is_zero():
    inputs = keras.Input((8, 8, 4))
    model = keras.Model(inputs, layers.Flatten()(layers.MaxPooling2D(3)(layers.ZeroPadding2D(1)(inputs))))
    images = np.full((1, 8, 8, 4), -5, np.float32)
    np.testing.assert_array_equal(run(onnx_model(graph_of(model)), images), model.predict_on_batch(images))


def test_a_padding_may_be_used_by_a_window_and_by_another_layer(random_weights):
    inputs = keras.Input((8, 8, 4))
    padded = layers.ZeroPadding2D(1)(layers.ZeroPadding2D(1)(inputs))
    outputs = layers.Add()([layers.Conv2D(4, 3, padding="same")(padded), padded])
    x = layers.Add()([layers.Conv2D(4, 3)(padded), layers.MaxPooling2D(3, strides=1)(outputs)])
    model = random_weights(keras.Model(inputs, layers.Flatten()(x)))
    images = np.random.default_rng(0).normal(0, 1, (2, 8, 8, 4)).astype(np.float32)
    np.testing.assert_allclose(run(onnx_model(graph_of(model)), images), model.predict_on_batch(images), atol=1e-5)


@pytest.mark.parametrize("side", range(7, 12))
def test_a_window_of_one_pixel_is_not_padded(random_weights, side):
    inputs = keras.Input((side, 8, 4))
    x = layers.Conv2D(6, 1, strides=2, padding="same")(inputs)
    model = random_weights(keras.Model(inputs, layers.Flatten()(layers.MaxPooling2D(1, strides=3, padding="same")(x))))
    images = np.random.default_rng(0).normal(0, 1, (2, side, 8, 4)).astype(np.float32)
    np.testing.assert_allclose(run(onnx_model(graph_of(model)), images), model.predict_on_batch(images), atol=1e-5)


@pytest.mark.parametrize(
    ("build", "values"),
    [
        (lambda x: layers.Conv2D(2, 3, strides=8, padding="same", name="odd")(x), ("'m'", "'odd'", "Conv2D")),
        (lambda x: layers.Conv2D(2, (1, 3), strides=2, padding="same", name="odd")(x), ("'m'", "'odd'", "Conv2D")),
        (lambda x: layers.MaxPooling2D(2, strides=3, padding="same", name="odd")(x), ("'odd'", "MaxPooling2D")),
        (lambda x: layers.AveragePooling2D(2, name="odd")(x), ("'m'", "'odd'", "AveragePooling2D")),
        (lambda x: layers.Conv2D(3, 3, activation="gelu", name="odd")(x), ("'gelu'", "'odd'")),
    ],
)
def test_refuses_what_it_does_not_know(build, values):
    inputs = keras.Input((8, 8, 3))
    with raises(ValueError, "ONNX", *values):
        onnx_model(graph_of(keras.Model(inputs, layers.Flatten()(build(inputs)), name="m")))
