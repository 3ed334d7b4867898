"""Rewiring of the training model under TensorFlow: work that layers share with their neighbors or leave to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import layers

from resnet50.training.fast_cpu.fused import FusedBatchNormalization, FusedConvolution, Subsampling
from resnet50.training.left_bias import followers, leave_biases


def share_subsampling() -> Callable[..., Any]:
    """Return a ``call_function`` of `keras.models.clone_model` that lets strided 1x1 convolutions share subsampling.

    A strided 1x1 convolution becomes a `Subsampling` and a convolution with stride 1. Those on the same feature map,
    such as a block's first and its shortcut's, share the subsampling: the map is read and its gradient written once.
    """
    # by the id of the feature map, which the graph keeps alive, and the strides
    shared: dict[tuple[int, tuple[int, int]], keras.KerasTensor] = {}

    def call(layer: Any, *inputs: Any, **options: Any) -> Any:
        if isinstance(layer, FusedConvolution) and layer.kernel_size == (1, 1) and layer.strides != (1, 1):
            key = id(inputs[0]), layer.strides
            if key not in shared:
                subsampling = Subsampling(layer.strides, name=f"{layer.name}_subsampling", dtype=layer.dtype_policy)
                shared[key] = subsampling(*inputs)
            layer.strides = (1, 1)
            inputs = (shared[key],)
        return layer(*inputs, **options)

    return call


def use_followers(model: keras.Model) -> None:
    """Adapt the layers of a training model to the layers that follow.

    A convolution leaves its bias to a batch norm (`leave_biases`); a batch norm without a ReLU after it works by rows.
    """
    leave_biases(model)
    for layer in model.layers:
        if isinstance(layer, FusedBatchNormalization):
            layer.by_rows = not any(isinstance(after, layers.Activation | layers.ReLU) for after in followers(layer))
