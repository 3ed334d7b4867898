"""Convolutions that leave their bias to the batch norm behind them, in training models of any backend.

Batch norm subtracts the mean of each channel, so that a bias in front of it changes nothing but that mean, and has the
gradient zero. To leave it out saves its passes over the feature map, forward and backward.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import layers, ops


class TakesBias:
    """A batch norm that accounts for the bias of the convolution in front of it.

    Attributes:
        bias_left_out: Returns the bias, ``(channels,)``, that the convolution did not add, or None.
    """

    bias_left_out: Callable[[], Any] = staticmethod(lambda: None)
    trainable: bool


class LeavesBias:
    """A convolution that may leave its bias out.

    Attributes:
        adds_bias: Returns whether the bias, if any, is added here.
    """

    adds_bias: Callable[[], bool] = staticmethod(lambda: True)
    use_bias: bool
    bias: Any
    activation: Any

    def leave_bias_to(self, norm: TakesBias) -> None:
        """Let the batch norm that follows account for the bias, as long as it is trainable."""
        self.adds_bias = lambda: not norm.trainable
        norm.bias_left_out = lambda: ops.cast(self.bias, "float32") if norm.trainable else None


def leave_biases(model: keras.Model) -> None:
    """Let each convolution of a training model leave its bias to a batch norm that is its only follower."""
    for layer in model.layers:
        if isinstance(layer, LeavesBias) and layer.use_bias and layer.activation is keras.activations.linear:
            after = followers(layer)
            if len(after) == 1 and isinstance(after[0], TakesBias):
                layer.leave_bias_to(after[0])


def followers(layer: layers.Layer) -> list[Any]:
    """Return the layers that are called on this one's output."""
    return [node.operation for node in layer._outbound_nodes]
