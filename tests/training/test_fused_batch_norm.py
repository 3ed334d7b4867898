"""TensorFlow's fused operation against Keras' own layer, in float32 where both must agree to rounding."""

from __future__ import annotations

import keras
import numpy as np
import pytest

tf = pytest.importorskip("tensorflow", reason="the fused layer is TensorFlow's")

from resnet50.training.fused_batch_norm import FusedBatchNormalization  # noqa: E402


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
