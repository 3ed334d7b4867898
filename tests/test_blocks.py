"""The two blocks against blocks written here in NumPy, which share nothing with the package."""

from __future__ import annotations

import inspect
import math
from dataclasses import replace

import keras
import numpy as np
import pytest

from factories import fill_random, raises
from resnet50.blocks import conv_norm, convolutional_block, identity_block, residual_block
from resnet50.conventions import V1, V1_5

# What the oracle knows of the two conventions; literals of this file.
EPSILON = {"v1": 1.001e-5, "v1.5": 1e-5}
MOMENTUM = {"v1": 0.99, "v1.5": 0.9, "scratch": 0.9}
CONVENTIONS = {"v1": V1, "v1.5": V1_5}


def correlate(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None, stride: int, pad: int) -> np.ndarray:
    """Slide the kernel over the image, not flipped, after ``pad`` zeros on all four sides; float64."""
    rows, columns = kernel.shape[:2]
    x = np.pad(np.asarray(x, "float64"), ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    height = (x.shape[1] - rows) // stride + 1
    width = (x.shape[2] - columns) // stride + 1
    y = np.zeros((len(x), height, width, kernel.shape[3]))
    for row in range(rows):
        for column in range(columns):
            seen = x[:, row : row + stride * height : stride, column : column + stride * width : stride]
            y += seen[:, :height, :width] @ np.asarray(kernel[row, column], "float64")
    return y if bias is None else y + bias


def normalize(x: np.ndarray, statistics: list[np.ndarray], epsilon: float) -> np.ndarray:
    gamma, beta, mean, variance = (np.asarray(value, "float64") for value in statistics)
    return gamma * (x - mean) / np.sqrt(variance + epsilon) + beta


def block_oracle(x: np.ndarray, weights: dict[str, list[np.ndarray]], *, kind: str, stride: int) -> np.ndarray:
    """Both blocks: with weights of a ``0`` convolution it is the convolutional one, without a ``3`` it is basic."""

    def step(x: np.ndarray, number: int, stride: int) -> np.ndarray:
        kernel, *bias = weights[f"b_{number}_conv"]
        x = correlate(x, kernel, bias[0] if bias else None, stride, kernel.shape[0] // 2)
        return normalize(x, weights[f"b_{number}_bn"], EPSILON[kind])

    if "b_3_conv" in weights:
        strides = {"v1": (stride, 1), "v1.5": (1, stride)}[kind]
        y = np.maximum(step(x, 1, strides[0]), 0)
        y = np.maximum(step(y, 2, strides[1]), 0)
        y = step(y, 3, 1)
    else:
        y = step(np.maximum(step(x, 1, stride), 0), 2, 1)
    shortcut = step(x, 0, stride) if "b_0_conv" in weights else x
    return np.maximum(shortcut + y, 0)


def weights_of(model: keras.Model) -> dict[str, list[np.ndarray]]:
    return {layer.name: layer.get_weights() for layer in model.layers if layer.weights}


def assert_close(actual: np.ndarray, expected: np.ndarray) -> None:
    """Equal to 1e-5 of the largest value: float32 against float64."""
    assert actual.shape == expected.shape
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def image(*shape: int, seed: int = 7) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.2, 1.0, shape).astype("float32")


def identity(shape=(9, 7, 11), filters=(4, 6, 11), *, fill=False, **options) -> keras.Model:
    x = keras.Input(shape)
    model = keras.Model(x, identity_block(x, filters, name="b", **options))
    return fill_random(model) if fill else model


def convolutional(shape=(9, 7, 5), filters=(4, 6, 11), *, fill=False, **options) -> keras.Model:
    x = keras.Input(shape)
    model = keras.Model(x, convolutional_block(x, filters, name="b", **options))
    return fill_random(model) if fill else model


# ---------------------------------------------------------------------------------------------- what a block computes


def test_the_oracle_itself_on_a_case_done_by_hand():
    x = np.arange(9.0).reshape(1, 3, 3, 1)
    kernel = np.array([[1.0, 0, 0], [0, 10, 0], [0, 0, 100]]).reshape(3, 3, 1, 1)
    # center (1, 1): 1 * x[0, 0] + 10 * x[1, 1] + 100 * x[2, 2]; a flipped kernel would give 48
    assert correlate(x, kernel, np.array([0.5]), 1, 1)[0, 1, 1, 0] == 0 + 40 + 800 + 0.5
    assert correlate(x, kernel, None, 2, 1)[0, :, :, 0].tolist() == [[400, 20 + 0], [60 + 0, 80 + 4]]


@pytest.mark.parametrize("kind", ["v1", "v1.5"])
@pytest.mark.parametrize("kernel_size", [3, 5])
@pytest.mark.parametrize("size", [(9, 7), (6, 10)])
def test_identity_block_is_the_equation(kind, kernel_size, size):
    model = identity((*size, 11), kernel_size=kernel_size, conventions=CONVENTIONS[kind], fill=True)
    x = image(2, *size, 11)
    expected = block_oracle(x, weights_of(model), kind=kind, stride=1)
    assert_close(np.asarray(model(x)), expected)
    assert 0.05 < (expected == 0).mean() < 0.95  # the last max(x, 0) has something to do


@pytest.mark.parametrize("kind", ["v1", "v1.5"])
@pytest.mark.parametrize("kernel_size", [3, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [(9, 7), (8, 10), (11, 6)])
def test_convolutional_block_is_the_equation(kind, kernel_size, stride, size):
    model = convolutional(
        (*size, 5),
        kernel_size=kernel_size,
        stride=stride,
        conventions=CONVENTIONS[kind],
        fill=True,
    )
    x = image(2, *size, 5)
    expected = block_oracle(x, weights_of(model), kind=kind, stride=stride)
    assert expected.shape == (2, math.ceil(size[0] / stride), math.ceil(size[1] / stride), 11)
    assert model.output_shape == (None, *expected.shape[1:])
    assert_close(np.asarray(model(x)), expected)
    assert 0.05 < (expected == 0).mean() < 0.95


@pytest.mark.parametrize("kind", ["v1", "v1.5"])
@pytest.mark.parametrize("kernel_size", [3, 5])
@pytest.mark.parametrize("size", [(9, 7), (8, 10)])
def test_basic_blocks_are_their_equations(kind, kernel_size, size):
    options = {"filters": (4, 11), "kernel_size": kernel_size, "conventions": CONVENTIONS[kind], "fill": True}
    for model, stride in (
        (identity((*size, 11), **options), 1),
        (convolutional((*size, 5), stride=1, **options), 1),
        (convolutional((*size, 5), stride=2, **options), 2),
    ):
        x = image(2, *model.input_shape[1:])
        expected = block_oracle(x, weights_of(model), kind=kind, stride=stride)
        assert expected.shape == (2, math.ceil(size[0] / stride), math.ceil(size[1] / stride), 11)
        assert_close(np.asarray(model(x)), expected)
        assert 0.05 < (expected == 0).mean() < 0.95


@pytest.mark.parametrize("kind", ["v1", "v1.5"])
def test_a_basic_block_strides_on_its_first_kernel_in_both_conventions(kind):
    model = convolutional(filters=(4, 11), conventions=CONVENTIONS[kind])
    names = {"b_1_pad", "b_1_conv", "b_1_bn", "b_1_relu", "b_2_conv", "b_2_bn", "b_0_conv", "b_0_bn", "b_add", "b_out"}
    assert {layer.name for layer in model.layers[1:]} == names
    assert [model.get_layer(f"b_{n}_conv").strides for n in (0, 1, 2)] == [(2, 2), (2, 2), (1, 1)]
    assert [model.get_layer(f"b_{n}_conv").kernel.shape for n in (0, 1, 2)] == [
        (1, 1, 5, 11),
        (3, 3, 5, 4),
        (3, 3, 4, 11),
    ]


def test_from_scratch_the_last_gamma_of_a_basic_block_is_its_second():
    x = image(2, 9, 7, 11)
    model = identity(filters=(4, 11), conventions=V1.from_scratch())
    assert np.array_equal(np.asarray(model(x)), np.maximum(x, 0))
    assert [weights_of(model)[f"b_{n}_bn"][0].max() for n in (1, 2)] == [1, 0]


@pytest.mark.parametrize(("channels", "stride", "projected"), [(11, 1, False), (5, 1, True), (11, 2, True)])
@pytest.mark.parametrize("filters", [(4, 6, 11), (4, 11)])
def test_a_residual_block_projects_where_its_shape_changes(filters, channels, stride, projected):
    x = keras.Input((9, 7, channels))
    model = keras.Model(x, residual_block(x, filters, stride=stride, name="b"))
    assert ("b_0_conv" in weights_of(model)) == projected
    assert model.output_shape == (None, 9 // stride + (stride == 2), math.ceil(7 / stride), 11)


@pytest.mark.parametrize("kind", ["v1", "v1.5"])
def test_a_variance_near_zero_shows_the_epsilon(kind):
    """With a variance of 1e-6, 1.001e-5 and 1e-5 differ by half a part in a thousand."""
    model = convolutional(conventions=CONVENTIONS[kind], fill=True)
    for number in (0, 1, 2, 3):
        layer = model.get_layer(f"b_{number}_bn")
        gamma, beta, mean, variance = layer.get_weights()
        layer.set_weights([gamma, beta, mean, variance * 1e-6])
    x = image(1, 9, 7, 5)
    expected = block_oracle(x, weights_of(model), kind=kind, stride=2)
    np.testing.assert_allclose(np.asarray(model(x)), expected, rtol=2e-5, atol=2e-5 * expected.max())


def test_convolutional_block_strides_by_two_and_looks_at_three_pixels_unless_told():
    model = convolutional(fill=True)
    assert model.output_shape == (None, 5, 4, 11)
    assert model.get_layer("b_2_conv").kernel.shape == (3, 3, 4, 6)
    assert identity().get_layer("b_2_conv").kernel.shape == (3, 3, 4, 6)


@pytest.mark.parametrize("kind", ["v1", "v1.5"])
def test_channels_kernels_and_biases_of_each_convolution(kind):
    model = convolutional(kernel_size=5, conventions=CONVENTIONS[kind])
    shapes = {name: [w.shape for w in weights] for name, weights in weights_of(model).items() if "conv" in name}
    kernels = {
        "b_0_conv": (1, 1, 5, 11),
        "b_1_conv": (1, 1, 5, 4),
        "b_2_conv": (5, 5, 4, 6),
        "b_3_conv": (1, 1, 6, 11),
    }
    biases = kind == "v1"
    assert shapes == {name: [shape, shape[-1:]] if biases else [shape] for name, shape in kernels.items()}


@pytest.mark.parametrize("block", [identity, convolutional])
@pytest.mark.parametrize("kind", ["v1", "v1.5"])
def test_names_of_a_blocks_layers(block, kind):
    names = {layer.name for layer in block(conventions=CONVENTIONS[kind]).layers[1:]}
    expected = {"b_1_conv", "b_1_bn", "b_1_relu", "b_2_conv", "b_2_bn", "b_2_relu", "b_3_conv", "b_3_bn"}
    expected |= {"b_add", "b_out"}
    if block is convolutional:
        expected |= {"b_0_conv", "b_0_bn"} | ({"b_2_pad"} if kind == "v1.5" else set())
    assert names == expected


@pytest.mark.parametrize("block", [identity, convolutional])
def test_a_block_takes_images_of_any_size(block):
    channels = 11 if block is identity else 5
    model = block((None, None, channels), fill=True)
    for size in [(7, 5), (4, 9)]:
        x = image(1, *size, channels)
        stride = 1 if block is identity else 2
        assert_close(np.asarray(model(x)), block_oracle(x, weights_of(model), kind="v1", stride=stride))


@pytest.mark.parametrize("kernel_size", [1, 3, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_conv_norm_alone(kernel_size, stride):
    x = keras.Input((8, 13, 3))
    y = conv_norm(x, 4, kernel_size, stride=stride, conventions=V1, name="one")
    model = fill_random(keras.Model(x, y))
    assert [layer.name for layer in model.layers[1:]] == (["one_pad"] if kernel_size > 1 < stride else []) + [
        "one_conv",
        "one_bn",
    ]
    kernel, bias = model.get_layer("one_conv").get_weights()
    data = image(2, 8, 13, 3)
    expected = normalize(
        correlate(data, kernel, bias, stride, kernel_size // 2), model.get_layer("one_bn").get_weights(), 1.001e-5
    )
    assert expected.shape[1:3] == (math.ceil(8 / stride), math.ceil(13 / stride))
    assert_close(np.asarray(model(data)), expected)


# ------------------------------------------------------------------------------------------------ where a block starts


def test_zero_residual_leaves_the_rectified_input_exactly():
    model = identity(fill=True)
    layer = model.get_layer("b_3_bn")
    _, _, mean, variance = layer.get_weights()
    layer.set_weights([np.zeros(11), np.zeros(11), mean, variance])
    x = image(2, 9, 7, 11)
    assert np.array_equal(np.asarray(model(x)), np.maximum(x, 0))


@pytest.mark.parametrize("training", [False, True])
def test_from_scratch_an_identity_block_starts_as_the_rectified_input(training):
    x = image(2, 9, 7, 11)
    for conventions in (V1.from_scratch(), V1_5.from_scratch()):
        model = identity(conventions=conventions)
        assert np.array_equal(np.asarray(model(x, training=training)), np.maximum(x, 0))
    assert not np.array_equal(np.asarray(identity(conventions=V1)(x)), np.maximum(x, 0))


@pytest.mark.parametrize("block", [identity, convolutional])
def test_from_scratch_only_the_last_gamma_is_zero(block):
    """A zero anywhere else would stop the gradient for good."""
    model = block(conventions=V1.from_scratch())
    for name, weights in weights_of(model).items():
        if name.endswith("_bn"):
            gamma, beta, mean, variance = weights
            assert (gamma == (0 if name == "b_3_bn" else 1)).all()
            assert (beta == 0).all()
            assert (mean == 0).all()
            assert (variance == 1).all()
    for weights in (weights_of(block(conventions=c)) for c in (V1, V1_5)):
        assert (weights["b_3_bn"][0] == 1).all()


@pytest.mark.parametrize("ready", [V1, V1_5], ids=["v1", "v1.5"])
def test_from_scratch_changes_nothing_else(ready):
    kept = {
        "momentum": ready.momentum,
        "last_gamma": ready.last_gamma,
        "kernel_initializer": ready.kernel_initializer,
    }
    assert replace(ready.from_scratch(), **kept) == ready


def test_files_call_the_conventions_by_these_names():
    assert (V1.name, V1_5.name) == ("v1", "v1.5")


def test_kernels_start_with_the_spread_of_their_initializer():
    """Glorot: variance 2 / (in + out); He: 2 / in. In and out count the pixels of the kernel."""
    shape, filters = (8, 8, 64), (48, 80, 64)
    fan_in, fan_out = 9 * 48, 9 * 80
    for conventions, variance in [(V1, 2 / (fan_in + fan_out)), (V1.from_scratch(), 2 / fan_in), (V1_5, 2 / fan_in)]:
        kernel = weights_of(identity(shape, filters, conventions=conventions))["b_2_conv"][0]
        np.testing.assert_allclose(kernel.std(), np.sqrt(variance), rtol=0.03)


# ---------------------------------------------------------------------------------------------------- stochastic depth


@pytest.mark.parametrize("block", [identity, convolutional])
def test_stochastic_depth_leaves_the_residual_out_for_whole_images(block):
    model, whole = (block(conventions=replace(V1, stochastic_depth=rate), fill=True) for rate in (0.6, 0))
    for name, weights in weights_of(whole).items():
        model.get_layer(name).set_weights(weights)
    x = np.repeat(image(1, *model.input_shape[1:]), 200, axis=0)
    added = keras.Model(whole.input, whole.get_layer("b_add").output)
    paths = [np.asarray(path) for path in keras.Model(whole.input, whole.get_layer("b_add").input)(x[:1])]
    assert_close(np.asarray(added(x[:1])), paths[0] + paths[1])
    np.testing.assert_array_equal(np.asarray(model(x)), np.asarray(whole(x)))  # prediction has no draw

    trained = keras.Model(model.input, model.get_layer("b_drop").output)
    for layer in trained.layers:
        layer.trainable = False  # batch norm keeps its statistics, dropout draws all the same
    drawn = np.asarray(trained(x, training=True))
    kept = drawn.any(axis=(1, 2, 3))
    assert 50 <= kept.sum() <= 110  # 0.4 of 200, within four standard deviations
    np.testing.assert_allclose(drawn[kept], np.broadcast_to(paths[1] / 0.4, drawn[kept].shape), rtol=1e-4, atol=1e-5)


# --------------------------------------------------------------------------------------------------- moving statistics


@pytest.mark.parametrize(("kind", "conventions"), [("v1", V1), ("v1.5", V1_5), ("scratch", V1.from_scratch())], ids=str)
def test_a_training_step_moves_the_statistics_by_momentum(kind, conventions):
    model = convolutional(conventions=conventions, fill=True)
    before = weights_of(model)
    model.compile(keras.optimizers.SGD(0.0), "mse")
    x = image(4, 9, 7, 5)
    model.train_on_batch(x, np.zeros((4, 5, 4, 11), "float32"))
    after = weights_of(model)
    share = MOMENTUM[kind]
    for number, stride in (("0", 2), ("1", 1 if kind == "v1.5" else 2)):
        kernel, *bias = before[f"b_{number}_conv"]
        seen = correlate(x, kernel, bias[0] if bias else None, stride, 0).reshape(-1, kernel.shape[-1])
        _, _, mean, variance = before[f"b_{number}_bn"]
        for new, old, batch in [
            (after[f"b_{number}_bn"][2], mean, seen.mean(axis=0)),
            (after[f"b_{number}_bn"][3], variance, seen.var(axis=0)),
        ]:
            np.testing.assert_allclose(new, share * old + (1 - share) * batch, rtol=1e-5, atol=1e-6)
            assert np.abs(new - old).max() > 1e-3
    for number in "0123":
        assert not np.array_equal(before[f"b_{number}_bn"][2], after[f"b_{number}_bn"][2])


def test_prediction_evaluation_and_frozen_layers_leave_the_statistics():
    model = convolutional(fill=True)
    x, y = image(4, 9, 7, 5), np.zeros((4, 5, 4, 11), "float32")
    model.compile(keras.optimizers.SGD(0.1), "mse")
    before = model.get_weights()
    model.predict_on_batch(x)
    model.test_on_batch(x, y)
    model(x)
    assert all(map(np.array_equal, before, model.get_weights()))

    for layer in model.layers:
        layer.trainable = layer.name == "b_1_conv"
    model.compile(keras.optimizers.SGD(0.1), "mse")
    before = weights_of(model)
    model.train_on_batch(x, y)
    after = weights_of(model)
    changed = [name for name in before if not all(map(np.array_equal, before[name], after[name]))]
    assert changed == ["b_1_conv"]


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="takes gradients with TensorFlow's tape")
@pytest.mark.parametrize("kind", ["v1", "v1.5"])
@pytest.mark.parametrize("block", [identity, convolutional])
def test_a_gradient_reaches_every_kernel_gamma_and_beta(block, kind):
    """A bias before batch norm is taken off again with the batch's mean, so its gradient is zero but for rounding."""
    import tensorflow as tf

    model = block(conventions=CONVENTIONS[kind], fill=True)
    x = image(3, *model.input_shape[1:])
    goal = image(3, *model.output_shape[1:], seed=8)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(x, training=True) * goal)
    gradients = tape.gradient(loss, [variable.value for variable in model.trainable_variables])
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        largest = np.abs(gradient.numpy()).max()
        if variable.name == "bias":
            assert largest < 1e-3, variable.path
        else:
            assert largest > 1e-1, variable.path


# ------------------------------------------------------------------------------------------------------------ refusals


def test_an_identity_block_refuses_another_number_of_channels():
    with raises(ValueError, "b: ", 7, 11, "convolutional_block"):
        identity((9, 7, 7))


def test_an_identity_block_refuses_one_channel_which_add_would_broadcast():
    with raises(ValueError, "b: ", 1, 11, "convolutional_block"):
        identity((9, 7, 1))


@pytest.mark.parametrize("block", [identity, convolutional])
@pytest.mark.parametrize("filters", [(11,), (4, 6, 11, 11), (0, 6, 11), (4, -1, 11), (4, 6.0, 11), ()])
def test_a_block_refuses_filters_that_are_not_three_or_two_positive_integers(block, filters):
    with raises(ValueError, "b: ", "filters", filters):
        block(filters=filters)


@pytest.mark.parametrize("block", [identity, convolutional])
@pytest.mark.parametrize("kernel_size", [0, 2, 4, -1])
def test_a_block_refuses_a_kernel_without_a_center(block, kernel_size):
    with raises(ValueError, "b: ", "kernel_size", kernel_size):
        block(kernel_size=kernel_size)


@pytest.mark.parametrize("stride", [0, -2])
def test_a_convolutional_block_refuses_a_stride_below_one(stride):
    with raises(ValueError, "b: ", "stride", 1, stride):
        convolutional(stride=stride)


@pytest.mark.parametrize("block", [identity, convolutional])
@pytest.mark.parametrize("shape", [(7, 11), (3, 9, 7, 11)])
def test_a_block_refuses_what_is_no_feature_map(block, shape):
    with raises(ValueError, "b: ", "(batch, height, width, channels)", (None, *shape)):
        block(shape)


@pytest.mark.parametrize("block", [identity, convolutional])
def test_a_block_refuses_channels_first(block):
    first = {identity: "b_1", convolutional: "b_0"}[block]
    keras.config.set_image_data_format("channels_first")
    try:
        with raises(ValueError, first, "'channels_first'", "'channels_last'"):
            block()
    finally:
        keras.config.set_image_data_format("channels_last")


@pytest.mark.parametrize(
    ("block", "call"),
    [
        (identity_block, lambda block, x: block(x, 3, [4, 6, 11])),
        (identity_block, lambda block, x: block(x, f=3, filters=[4, 6, 11])),
        (identity_block, lambda block, x: block(x, [4, 6, 11])),
        (convolutional_block, lambda block, x: block(x, 3, [4, 6, 11], s=2)),
    ],
)
def test_a_call_as_in_the_course_is_answered_with_the_arguments(block, call):
    with raises(TypeError, block.__name__, "kernel_size=3", "name="):
        call(block, keras.Input((9, 7, 11)))


def test_blocks_show_their_own_signature():
    assert list(inspect.signature(identity_block).parameters) == ["x", "filters", "kernel_size", "conventions", "name"]
    assert identity_block.__name__ == "identity_block"
    assert "x + F(x)" in identity_block.__doc__


@pytest.mark.parametrize("filters", [[], 64, [11], [4, 6, 0], [4, 6, 11.0], [4, 6, 7, 11], "abc"])
@pytest.mark.parametrize("block", [identity_block, convolutional_block])
def test_filters_are_three_or_two_positive_integers(block, filters):
    with raises(ValueError, "b: ", "filters", repr(filters)):
        block(keras.Input((9, 7, 11)), filters, name="b")
