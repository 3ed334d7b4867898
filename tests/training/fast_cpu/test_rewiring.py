"""Training models with rewired layers against the plain graph, in float32 where both must agree to rounding."""

from __future__ import annotations

import keras
import numpy as np
import pytest

tf = pytest.importorskip("tensorflow", reason="the fused operations are TensorFlow's")

from resnet50.blocks import convolutional_block, identity_block  # noqa: E402
from resnet50.conventions import V1, V1_5  # noqa: E402
from resnet50.training.fast_cpu.fused import FusedBatchNormalization, FusedConvolution, Subsampling  # noqa: E402
from resnet50.training.fast_cpu.precision import build_training_model  # noqa: E402
from resnet50.training.fast_cpu.rewiring import use_followers  # noqa: E402
from resnet50.training.left_bias import followers  # noqa: E402


def blocks(random_weights, conventions, image_size):
    """Every type of block next to every other, in both directions."""
    inputs = x = keras.Input((image_size, image_size + 1, 16))
    x = convolutional_block(x, (4, 6, 16), stride=1, conventions=conventions, name="conv2_block1")
    x = identity_block(x, (4, 6, 16), conventions=conventions, name="conv2_block2")
    x = convolutional_block(x, (5, 7, 24), stride=2, conventions=conventions, name="conv3_block1")
    x = identity_block(x, (5, 7, 24), conventions=conventions, name="conv3_block2")
    x = identity_block(x, (5, 7, 24), conventions=conventions, name="conv3_block3")
    return random_weights(keras.Model(inputs, x), 3)


@pytest.mark.parametrize("image_size", [8, 9])
@pytest.mark.parametrize("conventions", [V1, V1_5], ids=["v1", "v1.5"])
def test_outputs_gradients_and_statistics_are_those_of_the_plain_graph(random_weights, conventions, image_size):
    plain = blocks(random_weights, conventions, image_size)
    training_model = build_training_model(plain, "float32")
    x = np.random.default_rng(1).normal(size=(6, image_size, image_size + 1, 16)).astype("float32")
    results = []
    for model in (plain, training_model):
        inputs = tf.constant(x)
        weights = [variable.value for variable in model.trainable_variables]
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            y = model(inputs, training=True)
            loss = tf.reduce_mean(y * tf.cos(y))
        results.append([y, *tape.gradient(loss, [inputs, *weights]), *model.get_weights()])
    for expected, found in zip(*results, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


def test_convolutions_with_strides_on_the_same_map_share_its_subsampling(random_weights):
    for conventions, sharing in ((V1, ["0_conv", "1_conv"]), (V1_5, ["0_conv"])):
        training_model = build_training_model(blocks(random_weights, conventions, 9), "bfloat16")
        (subsampling,) = (layer for layer in training_model.layers if isinstance(layer, Subsampling))
        assert subsampling.output.shape == (None, 5, 5, 16)
        assert sorted(layer.name for layer in followers(subsampling)) == [f"conv3_block1_{name}" for name in sharing]
        assert all(layer.strides == (1, 1) for layer in followers(subsampling))


def test_a_plain_graph_keeps_its_strides(random_weights):
    plain = blocks(random_weights, V1, 9)
    build_training_model(plain, "bfloat16")
    assert plain.get_layer("conv3_block1_0_conv").strides == (2, 2)


def test_a_batch_norm_goes_by_rows_where_no_relu_follows(random_weights):
    training_model = build_training_model(blocks(random_weights, V1, 9), "float32")
    rows = {
        layer.name[-4:]: layer.by_rows for layer in training_model.layers if isinstance(layer, FusedBatchNormalization)
    }
    assert rows == {"0_bn": True, "1_bn": False, "2_bn": False, "3_bn": True}


def pair(convolution, norm, activation=None):
    """Return a convolution, the batch norm that follows it, and the model of both."""
    inputs = keras.Input((5, 5, 3))
    first, second = convolution(4, 3, activation=activation), norm()
    model = keras.Model(inputs, second(first(inputs)))
    draw = np.random.default_rng(7)
    model.set_weights([draw.uniform(1, 2, weight.shape) for weight in model.weights])
    return first, second, model


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("learning", [True, False])
def test_a_bias_that_batch_norm_takes_over_does_what_it_did(learning, training):
    x = np.random.default_rng(6).normal(size=(6, 5, 5, 3)).astype("float32")
    results = []
    for kinds in ((keras.layers.Conv2D, keras.layers.BatchNormalization), (FusedConvolution, FusedBatchNormalization)):
        convolution, norm, model = pair(*kinds)
        norm.trainable = learning
        use_followers(model)
        weights = [convolution.kernel.value, convolution.bias.value, norm.gamma.value, norm.beta.value]
        with tf.GradientTape() as tape:
            y = model(x, training=training)
            loss = tf.reduce_sum(y * tf.cos(y))
        results.append([y, tape.gradient(loss, weights), norm.moving_mean.numpy(), norm.moving_variance.numpy()])
    assert convolution.adds_bias() != learning
    (y, gradients, *statistics), (own_y, own_gradients, *own_statistics) = results
    np.testing.assert_allclose(own_y, y, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(own_statistics, statistics, rtol=1e-5)
    if learning and not training:  # nothing learns so: the bias would have a gradient
        return
    for name, expected, found in zip(("kernel", "bias", "gamma", "beta"), gradients, own_gradients, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=2e-3, err_msg=name)
    if learning:
        np.testing.assert_array_equal(own_gradients[1], np.zeros(4))


def test_a_bias_under_an_activation_stays_where_it_is():
    convolution, norm, model = pair(FusedConvolution, FusedBatchNormalization, activation="relu")
    use_followers(model)
    assert convolution.adds_bias()
    assert norm.bias_left_out() is None


def test_a_bias_that_others_see_stays_where_it_is():
    convolution, norm, model = pair(FusedConvolution, FusedBatchNormalization)
    model = keras.Model(model.input, [model.output, keras.layers.ReLU()(convolution.output)])
    use_followers(model)
    assert convolution.adds_bias()
    assert norm.bias_left_out() is None
