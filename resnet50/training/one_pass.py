"""Layers of the training model on JAX: batch norm reads a feature map once, and no bias is added in front of it."""

from __future__ import annotations

from typing import Any

from keras import layers, ops

from resnet50.training.left_bias import LeavesBias, TakesBias


class Convolution(LeavesBias, layers.Conv2D):
    """Keras' convolution, without a bias where batch norm cancels it."""

    def call(self, inputs: Any) -> Any:
        """Convolve ``(batch, height, width, channels)``."""
        return super().call(inputs) if self.adds_bias() else self.convolution_op(inputs, self.kernel)


class BatchNormalization(TakesBias, layers.BatchNormalization):
    """Keras' batch norm over the channels of a feature map, its mean and variance from one pass.

    Keras computes the mean, and then the mean square of what is left: it reads the feature map twice, and several
    devices exchange sums twice, one after the other. Here both sums come from one pass, of the distances ``d`` from the
    mean that the moving statistics expect:

    ``mean(x) = expected + mean(d)``; ``var(x) = mean(d ** 2) - mean(d) ** 2``.

    Same weights, same results to rounding. The difference loses digits where ``mean(d)`` is far larger than the
    deviation; as soon as the moving mean follows the batches it is smaller.

    Source: Ioffe and Szegedy 2015, arXiv:1502.03167, algorithms 1 and 2; Chan, Golub and LeVeque 1983, equation 1.3.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: None = None) -> Any:
        """Normalize ``(batch, height, width, channels)``; in training also update the statistics."""
        x = ops.cast(inputs, "float32")
        bias = self.bias_left_out()
        expected = self.moving_mean if bias is None else self.moving_mean - bias
        if not (training and self.trainable):
            return self._scaled(x - expected, 0.0, self.moving_variance)
        distances = x - ops.stop_gradient(expected)
        mean = ops.mean(distances, axis=(0, 1, 2))
        variance = ops.maximum(ops.mean(ops.square(distances), axis=(0, 1, 2)) - ops.square(mean), 0.0)
        for moving, batch in ((self.moving_mean, self.moving_mean + mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + batch * (1 - self.momentum))
        return self._scaled(distances, mean, variance)

    def _scaled(self, distances: Any, mean: Any, variance: Any) -> Any:
        scale = ops.rsqrt(variance + self.epsilon)
        scale = scale * self.gamma if self.scale else scale
        offset = (self.beta if self.center else 0.0) - mean * scale
        return ops.cast(distances * scale + offset, self.compute_dtype)
