"""The layers of the training model on JAX against Keras'. They are Keras' operations, which TensorFlow computes here.

That JAX takes the same step is tested in `test_backends`, and that several devices do in `test_devices`.
"""

from __future__ import annotations

import keras
import numpy as np
import pytest

tf = pytest.importorskip("tensorflow", reason="its gradients are compared")

from factories import tiny_model  # noqa: E402
from resnet50.conventions import V1, V1_5  # noqa: E402
from resnet50.training import one_pass  # noqa: E402
from resnet50.training.fast_cpu.precision import build_training_model  # noqa: E402
from resnet50.training.left_bias import leave_biases  # noqa: E402

KERAS = keras.layers.Conv2D, keras.layers.BatchNormalization
OURS = one_pass.Convolution, one_pass.BatchNormalization


def steps(norm, x, moving, upstream):
    """Output, gradients and statistics of a batch norm in a training step."""
    norm.build(x.shape)
    norm.set_weights(moving)
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = norm(x, training=True)
        loss = tf.reduce_sum(y * upstream)
    gradients = tape.gradient(loss, [x, norm.gamma.value, norm.beta.value])
    return [y, *gradients, norm.moving_mean.numpy(), norm.moving_variance.numpy()]


@pytest.mark.parametrize(
    ("mean", "expected", "smallest"),  # deviation of a channel
    [(0.0, 0.0, 0.1), (1.0, 0.0, 0.5), (3.0, 2.9, 0.1), (-1000.0, -1000.1, 0.1)],
    ids=["centered", "first step", "later", "far away"],
)
def test_batch_norm_in_one_pass_is_keras_batch_norm(mean, expected, smallest):
    draw = np.random.default_rng(0)
    x = (draw.normal(size=(8, 7, 9, 5)) * [smallest, 0.5, 1, 2, 5] + mean).astype("float32")
    upstream = draw.normal(size=x.shape).astype("float32")
    moving = [draw.uniform(0.5, 1.5, 5), draw.normal(size=5), np.full(5, expected), draw.uniform(0.5, 2, 5)]
    options = {"momentum": 0.9, "epsilon": 1e-5}
    found, plain = (steps(kind(**options), x, moving, upstream) for kind in (OURS[1], KERAS[1]))
    # float64 has digits enough for the two passes of the definition
    exact = x.astype("float64")
    center, spread = exact.mean(axis=(0, 1, 2)), exact.var(axis=(0, 1, 2))
    definition = moving[0] * (exact - center) / np.sqrt(spread + 1e-5) + moving[1]
    np.testing.assert_allclose(found[0], definition, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found[4], 0.9 * moving[2] + 0.1 * center, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found[5], 0.9 * moving[3] + 0.1 * spread, rtol=1e-5)
    if abs(mean) > 100:  # where Keras' own is far off
        return
    for name, ours, keras_own in zip(("y", "x", "gamma", "beta"), found, plain, strict=False):
        np.testing.assert_allclose(ours, keras_own, rtol=1e-4, atol=1e-4, err_msg=name)


@pytest.mark.parametrize(("center", "scale"), [(True, False), (False, True)])
def test_batch_norm_may_have_no_gamma_or_no_beta(center, scale):
    x = np.random.default_rng(1).normal(size=(4, 3, 3, 2)).astype("float32")
    plain, ours = (kind(center=center, scale=scale) for kind in (KERAS[1], OURS[1]))
    for training in (True, False):
        np.testing.assert_allclose(ours(x, training=training), plain(x, training=training), atol=1e-5)


def test_in_bfloat16_statistics_are_float32():
    norm = OURS[1](dtype="mixed_bfloat16")
    x = tf.cast(np.random.default_rng(1).normal(size=(4, 3, 3, 2)) + 100, "bfloat16")
    assert norm(x, training=True).dtype == tf.bfloat16
    exact = x.numpy().astype("float32")
    np.testing.assert_allclose(norm.moving_mean.numpy(), 0.01 * exact.mean(axis=(0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(norm.moving_variance.numpy(), 0.99 + 0.01 * exact.var(axis=(0, 1, 2)), rtol=1e-3)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("learning", [True, False])
def test_a_bias_is_left_to_batch_norm_while_that_learns(learning, training):
    draw = np.random.default_rng(6)
    x = draw.normal(size=(6, 5, 5, 3)).astype("float32")
    values = None
    results = []
    for convolution_kind, norm_kind in (KERAS, OURS):
        inputs = keras.Input((5, 5, 3))
        convolution, norm = convolution_kind(4, 3), norm_kind()
        model = keras.Model(inputs, norm(convolution(inputs)))
        values = values or [draw.uniform(1, 2, weight.shape) for weight in model.weights]
        model.set_weights(values)
        norm.trainable = learning
        leave_biases(model)
        weights = [convolution.kernel.value, norm.gamma.value, norm.beta.value]
        with tf.GradientTape(persistent=True) as tape:
            y = model(x, training=training)
            loss = tf.reduce_sum(y * tf.cos(y))
        results.append([y, *tape.gradient(loss, weights), norm.moving_mean.numpy(), norm.moving_variance.numpy()])
        of_bias = tape.gradient(loss, convolution.bias.value)
    assert convolution.adds_bias() != learning
    if learning and training:
        assert of_bias is None
    for expected, found in zip(*results, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize("conventions", [V1, V1_5], ids=["v1", "v1.5"])
def test_a_step_of_the_training_model_is_that_of_keras_model(conventions, monkeypatch):
    model = tiny_model(5, size=(32, 40), seed=1, conventions=conventions)
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    training_model = build_training_model(model, "float32")
    assert {type(layer) for layer in training_model.layers if layer.name.endswith(("_conv", "_bn"))} == set(OURS)
    biased = [layer for layer in training_model.layers if isinstance(layer, OURS[0]) and layer.use_bias]
    assert not any(layer.adds_bias() for layer in biased)
    assert len(biased) == (0 if conventions is V1_5 else 15)
    images = np.random.default_rng(0).integers(0, 256, (12, 32, 40, 3)).astype("float32")
    results = []
    for each in (model, training_model):
        weights = [weight for weight in each.trainable_variables if not weight.path.endswith("conv/bias")]
        with tf.GradientTape() as tape:
            y = each(images, training=True)
            loss = tf.reduce_mean(y * tf.cos(7 * y))
        gradients = tape.gradient(loss, [weight.value for weight in weights])
        results.append([y, *gradients, *each.get_weights()])
    for expected, found in zip(*results, strict=True):
        np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-5 + 1e-3 * np.abs(expected).max())
