"""TensorFlow's fused operations against Keras' own, in float32 where both must agree to rounding."""

from __future__ import annotations

import keras
import numpy as np
import pytest

tf = pytest.importorskip("tensorflow", reason="the fused operations are TensorFlow's")

from resnet50.training.fused import FusedAdam, FusedBatchNormalization, FusedConvolution  # noqa: E402


def both():
    rng = np.random.default_rng(0)
    x = rng.normal(3, 2, (5, 7, 6, 4)).astype("float32")
    weights = [rng.uniform(0.5, 2, 4), rng.normal(size=4), rng.normal(size=4), rng.uniform(0.5, 2, 4)]
    made = []
    for kind in (keras.layers.BatchNormalization, FusedBatchNormalization):
        layer = kind(momentum=0.7, epsilon=1.001e-5)
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


def adam_fit(kind, weight_decay):
    """Seven steps over two epochs, with a rate that changes, on weights of several shapes and one that is spared."""
    rng = np.random.default_rng(1)
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(4, activation="tanh"), keras.layers.Dense(3)])
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    schedule = keras.optimizers.schedules.CosineDecay(0.05, 7)
    optimizer = kind(schedule, beta_1=0.8, beta_2=0.95, epsilon=1e-4, weight_decay=weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    model.compile(optimizer, "mse")
    model.fit(rng.normal(size=(7, 5)), rng.normal(size=(7, 3)), batch_size=2, epochs=2, shuffle=False, verbose=0)
    return model


@pytest.mark.parametrize("weight_decay", [None, 0.3])
def test_adam_moves_weights_and_moments_as_keras_does(weight_decay):
    plain, fused = (adam_fit(kind, weight_decay) for kind in (keras.optimizers.Adam, FusedAdam))
    for expected, found in zip(plain.weights, fused.weights, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    for expected, found in zip(plain.optimizer.variables, fused.optimizer.variables, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("bias_learns", [True, False])
@pytest.mark.parametrize(
    ("side", "kernel", "strides", "use_bias"),
    [(8, 1, 1, True), (8, 1, 1, False), (8, 1, 2, True), (8, 3, 1, True), (20, 1, 1, True)],
)
def test_a_convolution_is_keras_own_but_for_a_bias_that_cannot_matter(side, kernel, strides, use_bias, bias_learns):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(3, side, side - 1, 5)).astype("float32")
    results = []
    for kind in (keras.layers.Conv2D, FusedConvolution):
        layer = kind(7, kernel, strides=strides, padding="same", use_bias=use_bias)
        layer.build(x.shape)
        layer.set_weights([np.random.default_rng(3).normal(size=weight.shape) for weight in layer.weights])
        layer.bias_learns = lambda: bias_learns
        inputs = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            y = layer(inputs)
            loss = tf.reduce_sum(y * tf.cos(y))
        results.append([y, *tape.gradient(loss, [inputs, *(weight.value for weight in layer.weights)])])
    plain, fused = results
    if use_bias and not bias_learns:
        assert np.abs(plain.pop()).max() > 1
        np.testing.assert_array_equal(fused.pop(), np.zeros(7))
    for expected, found in zip(plain, fused, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)
