"""What layers of the twin that trains under TensorFlow share with those around them, or leave to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import layers

from resnet50.training.fast_cpu.fused import FusedBatchNormalization, FusedConvolution, Thinning


def share_thinning() -> Callable[..., Any]:
    """Return how `keras.models.clone_model` is to call layers so that 1x1 convolutions skip places once for all.

    With strides they become `Thinning` and plain convolutions. Those on the same feature map, as a block's first and
    its shortcut's, share the thinning: the map is read, and its gradient with the zeros between is written, once.
    """
    thinned: dict[tuple[int, tuple[int, int]], keras.KerasTensor] = {}  # by the map's id, which lives as long as it

    def call(layer: Any, *inputs: Any, **options: Any) -> Any:
        if isinstance(layer, FusedConvolution) and layer.kernel_size == (1, 1) and layer.strides != (1, 1):
            key = id(inputs[0]), layer.strides
            if key not in thinned:
                thinning = Thinning(layer.strides, name=f"{layer.name}_thinning", dtype=layer.dtype_policy)
                thinned[key] = thinning(*inputs)
            layer.strides = (1, 1)
            inputs = (thinned[key],)
        return layer(*inputs, **options)

    return call


def look_ahead(model: keras.Model) -> None:
    """Let the layers of a twin use what they can know of those that follow.

    A convolution leaves its bias to a batch norm that alone follows it; a batch norm that no ReLU follows goes by rows.
    """
    for layer in model.layers:
        after = followers(layer)
        if isinstance(layer, FusedConvolution) and layer.use_bias and layer.activation is keras.activations.linear:
            if len(after) == 1 and isinstance(after[0], FusedBatchNormalization):
                layer.leave_bias_to(after[0])
        elif isinstance(layer, FusedBatchNormalization):
            layer.by_rows = not any(isinstance(follower, layers.Activation | layers.ReLU) for follower in after)


def followers(layer: layers.Layer) -> list[Any]:
    """Return the layers that are called on what this one returns."""
    return [node.operation for node in layer._outbound_nodes]
