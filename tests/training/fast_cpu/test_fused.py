"""TensorFlow's fused operations against Keras' own, in float32 where both must agree to rounding."""

from __future__ import annotations

import keras
import numpy as np
import pytest

tf = pytest.importorskip("tensorflow", reason="the fused operations are TensorFlow's")

from resnet50.training.fast_cpu.fused import FusedAdam, FusedBatchNormalization, FusedConvolution, FusedRescaling  # noqa: E402


def both():
    rng = np.random.default_rng(0)
    x = rng.normal(3, 2, (5, 7, 6, 4)).astype("float32")
    weights = [rng.uniform(0.5, 2, 4), rng.normal(size=4), rng.normal(size=4), rng.uniform(0.5, 2, 4)]
    made = []
    for layer_type in (keras.layers.BatchNormalization, FusedBatchNormalization):
        layer = layer_type(momentum=0.7, epsilon=1.001e-5)
        layer.build(x.shape)
        layer.set_weights(weights)
        made.append(layer)
    return x, *made


@pytest.mark.parametrize("training", [True, False])
def test_outputs_gradients_and_statistics_are_those_of_keras(training):
    x, plain, fused = both()
    results = []
    for layer in (plain, fused):
        inputs = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            y = layer(inputs, training=training)
            loss = tf.reduce_sum(y * tf.cos(y))
        results.append([y, *tape.gradient(loss, [inputs, layer.gamma.value, layer.beta.value]), *layer.get_weights()])
    for expected, found in zip(*results, strict=True):
        np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-5)


def test_the_moving_variance_is_the_populations():
    x, _, fused = both()
    before = fused.get_weights()[3]
    fused(tf.constant(x), training=True)
    expected = 0.7 * before + 0.3 * x.reshape(-1, 4).var(axis=0)
    np.testing.assert_allclose(fused.get_weights()[3], expected, rtol=1e-5)


def test_a_frozen_layer_uses_and_keeps_its_statistics():
    x, plain, fused = both()
    before = fused.get_weights()
    fused.trainable = False
    np.testing.assert_allclose(fused(x, training=True), plain(x, training=False), rtol=1e-4, atol=1e-5)
    for old, new in zip(before, fused.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_bfloat16_stays_bfloat16_outside_and_float32_inside():
    x, _, fused = both()
    half = FusedBatchNormalization.from_config({**fused.get_config(), "dtype": "mixed_bfloat16"})
    half.build(x.shape)
    half.set_weights(fused.get_weights())
    y = half(tf.cast(x, "bfloat16"), training=True)
    assert y.dtype == tf.bfloat16
    assert {weight.dtype for weight in half.weights} == {"float32"}
    np.testing.assert_allclose(tf.cast(y, "float32"), fused(x, training=True), atol=0.05)


@pytest.mark.parametrize("numbers", [(1 / 255, 0), ([0.5, 2, 3], [-1, 0, 4])])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_rescaling_is_keras_own(numbers, dtype):
    x = np.random.default_rng(9).uniform(0, 256, (2, 4, 5, 3)).astype(dtype)
    plain, fused = keras.layers.Rescaling(*numbers), FusedRescaling(*numbers)
    np.testing.assert_allclose(fused(x), plain(x), rtol=1e-6)


def adam_fit(optimizer_type, weight_decay):
    """Seven steps over two epochs, with a rate that changes, on weights of several shapes and one that is spared."""
    rng = np.random.default_rng(1)
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(4, activation="tanh"), keras.layers.Dense(3)])
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    schedule = keras.optimizers.schedules.CosineDecay(0.05, 7)
    optimizer = optimizer_type(schedule, beta_1=0.8, beta_2=0.95, epsilon=1e-4, weight_decay=weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    model.compile(optimizer, "mse")
    model.fit(rng.normal(size=(7, 5)), rng.normal(size=(7, 3)), batch_size=2, epochs=2, shuffle=False, verbose=0)
    return model


@pytest.mark.parametrize("weight_decay", [None, 0.3])
def test_adam_moves_weights_and_moments_as_keras_does(weight_decay):
    plain, fused = (adam_fit(adam, weight_decay) for adam in (keras.optimizers.Adam, FusedAdam))
    for expected, found in zip(plain.weights, fused.weights, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    for expected, found in zip(plain.optimizer.variables, fused.optimizer.variables, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("image_size", "kernel", "strides", "use_bias"),
    [(8, 1, 1, True), (8, 1, 1, False), (8, 1, 2, True), (8, 3, 1, True), (20, 1, 1, True)],
)
def test_a_convolution_is_keras_own(image_size, kernel, strides, use_bias):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(3, image_size, image_size - 1, 5)).astype("float32")
    results = []
    for layer_type in (keras.layers.Conv2D, FusedConvolution):
        layer = layer_type(7, kernel, strides=strides, padding="same", use_bias=use_bias)
        results.append(convolved(layer, x))
    for expected, found in zip(*results, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("numbers", [{"groups": 2}, {"dilation_rate": 2}, {"padding": "valid"}, {"strides": 2}])
def test_what_is_not_a_plain_convolution_stays_keras_own(kernel, numbers):
    x = np.random.default_rng(8).normal(size=(3, 4, 4, 8)).astype("float32")
    numbers = {"padding": "same", **numbers}
    plain = convolved(keras.layers.Conv2D(6, kernel, **numbers), x)
    fused = convolved(FusedConvolution(6, kernel, dtype="mixed_bfloat16", **numbers), x)
    for expected, found in zip(plain, fused, strict=True):
        np.testing.assert_allclose(tf.cast(found, "float32"), expected, atol=0.02 * np.abs(expected).max())


@pytest.mark.parametrize("kernel", [3, 5, (1, 3), (2, 4)])
@pytest.mark.parametrize("image_size", [2, 3, 7])
def test_small_maps_in_bfloat16_are_convolved_as_in_float32(image_size, kernel):
    rng = np.random.default_rng(4)
    x = rng.normal(size=(3, image_size, image_size - 1, 8)).astype("float32")
    plain = convolved(keras.layers.Conv2D(16, kernel, padding="same"), x)
    small = convolved(FusedConvolution(16, kernel, padding="same", dtype="mixed_bfloat16"), x)
    for expected, found in zip(plain, small, strict=True):
        assert found.shape == expected.shape
        # bfloat16 keeps 8 bits; a kernel that was laid over other places would be off by the values themselves
        np.testing.assert_allclose(tf.cast(found, "float32"), expected, atol=0.02 * np.abs(expected).max())


def convolved(layer, x):
    """Return what a layer with made-up weights makes of ``x``, and the gradients of the input and the weights."""
    layer.build(x.shape)
    layer.set_weights([np.random.default_rng(3).normal(size=weight.shape) for weight in layer.weights])
    inputs = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        y = layer(inputs)
        loss = tf.reduce_sum(tf.cast(y, "float32") * np.random.default_rng(5).normal(size=y.shape))
    return [y, *tape.gradient(loss, [inputs, *(weight.value for weight in layer.weights)])]
