"""Layers and Adam in as few TensorFlow operations as possible, for the training model."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from keras import layers, optimizers

from resnet50.training.left_bias import LeavesBias, TakesBias

# Positions (height times width) of a feature map up to which a matrix product is faster than oneDNN's convolution:
_POINTWISE = 28 * 28  # a 1x1 convolution
_SMALL = 16 * 16  # in bfloat16 also the gradient of a larger kernel
_TINY = 2 * 2  # in bfloat16 any convolution


class FusedConvolution(LeavesBias, layers.Conv2D):
    """Keras' convolution: matrix products on small feature maps, and no bias where batch norm cancels it.

    Same weights, same results to rounding.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Convolve ``(batch, height, width, channels)``."""
        _, height, width, channels = inputs.shape
        plain = self.strides == self.dilation_rate == (1, 1) and self.groups == 1
        positions = height * width if plain else math.inf
        if self.kernel_size == (1, 1) and positions <= _POINTWISE:
            flat = tf.matmul(tf.reshape(inputs, (-1, channels)), tf.reshape(self.kernel, (channels, self.filters)))
            outputs = tf.reshape(flat, (-1, height, width, self.filters))
        elif positions <= _SMALL and self.padding == "same" and inputs.dtype == tf.bfloat16:
            outputs = _convolve_small(inputs, tf.convert_to_tensor(self.kernel))
        else:
            outputs = self.convolution_op(inputs, self.kernel)
        if self.use_bias and self.adds_bias():
            outputs = tf.nn.bias_add(outputs, self.bias)
        return self.activation(outputs)


@tf.custom_gradient
def _convolve_small(inputs: tf.Tensor, kernel: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], list[tf.Tensor]]]:
    """Convolve with stride 1 and padding "same", the gradient of the kernel as a matrix product.

    oneDNN's gradient is slow where it sums over few positions: on a 2 x 2 map it takes seven times as long.
    """
    _, height, width, _ = inputs.shape
    filters = kernel.shape[-1]

    def gradient(upstream: tf.Tensor) -> list[tf.Tensor]:
        of_inputs = tf.raw_ops.Conv2DBackpropInput(
            input_sizes=tf.shape(inputs), filter=kernel, out_backprop=upstream, strides=[1, 1, 1, 1], padding="SAME"
        )
        of_kernel = tf.matmul(_neighbors(inputs, kernel), tf.reshape(upstream, (-1, filters)), transpose_a=True)
        return [of_inputs, tf.reshape(of_kernel, kernel.shape)]

    if height * width > _TINY:
        return tf.nn.conv2d(inputs, kernel, strides=1, padding="SAME"), gradient
    flat = tf.matmul(_neighbors(inputs, kernel), tf.reshape(kernel, (-1, filters)))
    return tf.reshape(flat, (-1, height, width, filters)), gradient


def _neighbors(inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Return the inputs of the kernel at each position of each feature map as a row, in the order of its weights."""
    down, across, channels, _ = kernel.shape
    above, left = (down - 1) // 2, (across - 1) // 2
    padded = tf.pad(inputs, [(0, 0), (above, down - 1 - above), (left, across - 1 - left), (0, 0)])
    positions = np.arange(padded.shape[1] * padded.shape[2]).reshape(padded.shape[1:3])
    seen = np.lib.stride_tricks.sliding_window_view(positions, (down, across)).ravel()
    rows = tf.gather(_positions(padded), seen, axis=1)
    return tf.reshape(rows, (-1, down * across * channels))


class Subsampling(layers.Layer):
    """The positions of a feature map, ``(batch, height, width, channels)``, that a strided 1x1 convolution reads.

    Args:
        strides: Down and across.
        options: Those of Keras' layers.
    """

    def __init__(self, strides: tuple[int, int], **options: Any) -> None:
        super().__init__(**options)
        self.strides = strides

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return ``(batch, ceil(height / down), ceil(width / across), channels)``."""
        return _subsample(inputs, *self.strides)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of what `call` returns."""
        batch, height, width, channels = input_shape
        down, across = self.strides
        return batch, height and -(-height // down), width and -(-width // across), channels


def _subsample(inputs: tf.Tensor, down: int, across: int) -> tf.Tensor:
    """Subsample by gathering, since TensorFlow's strided slice takes ten times as long."""
    _, height, width, channels = inputs.shape
    taken = np.arange(height * width).reshape(height, width)[::down, ::across]
    origins = np.full(height * width, taken.size)  # other positions get the gradient zero, which is appended
    origins[taken] = np.arange(taken.size).reshape(taken.shape)

    @tf.custom_gradient
    def subsample(inputs: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            padded = tf.pad(_positions(upstream), [(0, 0), (0, 1), (0, 0)])
            return tf.reshape(tf.gather(padded, origins, axis=1), (-1, height, width, channels))

        return tf.reshape(tf.gather(_positions(inputs), taken.ravel(), axis=1), (-1, *taken.shape, channels)), gradient

    return subsample(inputs)


def _positions(feature_map: tf.Tensor) -> tf.Tensor:
    """Flatten the positions, ``(batch, height * width, channels)``."""
    _, height, width, channels = feature_map.shape
    return tf.reshape(feature_map, (-1, height * width, channels))


class FusedBatchNormalization(TakesBias, layers.BatchNormalization):
    """Keras' batch norm over the channels of a feature map, computed by TensorFlow's fused operation.

    Same weights, same results to rounding; in bfloat16 the training step takes about two thirds of the time, since the
    feature map is neither converted to float32 nor read several times.

    Attributes:
        by_rows: Whether each row is handled as a feature map of its own. The results are the same and oneDNN is faster,
            but TensorFlow then cannot fuse a ReLU that follows.

    Source: Ioffe and Szegedy 2015, arXiv:1502.03167, algorithms 1 and 2.
    """

    by_rows = False

    def call(self, inputs: tf.Tensor, training: bool | None = None, mask: None = None) -> tf.Tensor:
        """Normalize ``(batch, height, width, channels)``; in training also update the statistics."""
        learning = bool(training and self.trainable)
        beta, moving_mean, bias = self.beta, self.moving_mean, self.bias_left_out()
        if bias is not None:
            beta = _with_idle(tf.convert_to_tensor(beta), bias)
            moving_mean -= bias
        shape = tf.shape(inputs)
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            tf.reshape(inputs, (-1, 1, shape[2], shape[3])) if self.by_rows else inputs,
            self.gamma,
            beta,
            mean=None if learning else moving_mean,
            variance=None if learning else self.moving_variance,
            epsilon=self.epsilon,
            is_training=learning,
        )
        if learning:
            # The operation returns the unbiased variance, larger by n / (n - 1) than the one that Keras stores.
            count = tf.cast(tf.size(inputs) // tf.shape(inputs)[-1], variance.dtype)
            variance *= (count - 1) / count
            mean = mean if bias is None else mean + bias
            for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
                moving.assign(moving * self.momentum + batch * (1 - self.momentum))
        return tf.reshape(outputs, shape) if self.by_rows else outputs


class FusedRescaling(layers.Rescaling):
    """Keras' rescaling of images, row by row, since TensorFlow is slow at broadcasting one number per channel."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Rescale ``(batch, height, width, channels)``."""
        _, height, width, channels = inputs.shape
        numbers = width * channels
        scale, offset = (np.resize(np.asarray(n, self.compute_dtype), numbers) for n in (self.scale, self.offset))
        rows = tf.cast(tf.reshape(inputs, (-1, height, numbers)), self.compute_dtype)
        return tf.reshape(rows * scale + offset, (-1, height, width, channels))


@tf.custom_gradient
def _with_idle(used: tf.Tensor, idle: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], list[tf.Tensor]]]:
    """Return a weight, and give another the gradient zero: Keras would warn of a weight that has none."""
    return tf.identity(used), lambda upstream: [upstream, tf.zeros_like(idle)]


class FusedAdam(optimizers.Adam):
    """Keras' Adam, with one operation instead of a dozen to update a weight and its two moments.

    Same variables, same results to rounding. Every step saves several passes over 24 million weights, and the training
    graph is built in half the time.

    Source: Kingma and Ba 2014, arXiv:1412.6980, algorithm 1, in the order of computation that ends section 2.
    """

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor) -> None:
        """Update one weight by its gradient; both have its shape."""
        index = self._get_variable_index(variable)
        step = tf.cast(self.iterations + 1, variable.dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=self.beta_1**step,
            beta2_power=self.beta_2**step,
            lr=tf.cast(learning_rate, variable.dtype),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )
