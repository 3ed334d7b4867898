"""What the network must be: its names, its counts, and the whole of it once more in NumPy.

An oracle shares no code with what it checks.
"""

from __future__ import annotations

import dataclasses
import math

import keras
import numpy as np

from resnet50.conventions import V1, V1_5
from resnet50.weights import WeightsFile

DEPTHS = {"conv2": 3, "conv3": 4, "conv4": 6, "conv5": 3}


def expected_names(*, padded: bool = False) -> list[str]:
    """Every layer between input and top, from the rule alone; Keras sorts layers by their distance to the output."""
    names = ["conv1_pad", "conv1_conv", "conv1_bn", "conv1_relu", "pool1_pad", "pool1_pool"]
    for stage, depth in DEPTHS.items():
        for block in range(1, depth + 1):
            parts = ["1_conv", "1_bn", "1_relu", "2_conv", "2_bn", "2_relu", "3_conv", "3_bn", "add", "out"]
            if block == 1:
                parts[6:8] = ["0_conv", "3_conv", "0_bn", "3_bn"]
                if padded and stage != "conv2":
                    parts.insert(3, "2_pad")
            names += [f"{stage}_block{block}_{part}" for part in parts]
    return names


def names_after_input(model: keras.Model) -> list[str]:
    return [layer.name for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]


def count(weights) -> int:
    return sum(math.prod(w.shape) for w in weights)


def dim(model: keras.Model) -> None:
    """Make the first kernel fit for inputs of some hundred, so that random weights do not saturate the softmax."""
    layer = model.get_layer("conv1_conv")
    kernel, bias = layer.get_weights()
    layer.set_weights([kernel / 100, bias])


def of_file(model: keras.Model, **changes) -> WeightsFile:
    """What a file with this model's weights would be read as."""
    arrays = {layer.name: tuple(layer.get_weights()) for layer in model.layers if layer.weights}
    conventions = V1 if len(arrays["conv1_conv"]) == 2 else V1_5
    file = WeightsFile("some file", "keras", conventions.from_scratch(), "caffe", arrays, {})
    return dataclasses.replace(file, **changes)


def same_by_name(mine: keras.Model, other: keras.Model, *, but: tuple[str, ...] = ()) -> bool:
    ours, theirs = ({layer.name: layer.get_weights() for layer in m.layers if layer.weights} for m in (mine, other))
    return ours.keys() == theirs.keys() and all(
        all(map(np.array_equal, values, theirs[name])) for name, values in ours.items() if name not in but
    )


def correlate(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | float, stride: int) -> np.ndarray:
    """Correlation with half a kernel of zeros on all four sides, float64; an image of patches, then one product."""
    side = kernel.shape[0]
    pad = side // 2
    x = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    patches = np.lib.stride_tricks.sliding_window_view(x, (side, side), axis=(1, 2))[:, ::stride, ::stride]
    return np.einsum("nhwcij,ijco->nhwo", patches, kernel, optimize=True) + bias


def network_oracle(
    x: np.ndarray, weights: dict[str, list[np.ndarray]], table: list[tuple[str, int, int]], *, v15: bool, cifar: bool
) -> np.ndarray:
    """ResNet in NumPy: ``table`` holds each stage's name, number of blocks and stride."""

    def unit(x: np.ndarray, name: str, stride: int = 1) -> np.ndarray:
        kernel, *bias = (w.astype("float64") for w in weights[f"{name}_conv"])
        gamma, beta, mean, variance = (w.astype("float64") for w in weights[f"{name}_bn"])
        y = correlate(x, kernel, bias[0] if bias else 0.0, stride)
        return gamma * (y - mean) / np.sqrt(variance + (1e-5 if v15 else 1.001e-5)) + beta

    x = np.maximum(unit(x, "conv1", 1 if cifar else 2), 0)
    if not cifar:  # no value is negative, so a border of zeros never wins against a pixel
        x = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        x = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))[:, ::2, ::2].max(axis=(-2, -1))
    for name, blocks, stage_stride in table:
        for block in range(1, blocks + 1):
            here = f"{name}_block{block}"
            stride = stage_stride if block == 1 else 1
            y = np.maximum(unit(x, f"{here}_1", 1 if v15 else stride), 0)
            y = np.maximum(unit(y, f"{here}_2", stride if v15 else 1), 0)
            x = np.maximum(unit(y, f"{here}_3") + (unit(x, f"{here}_0", stride) if block == 1 else x), 0)
    return x


def image(*shape: int) -> np.ndarray:
    return np.random.default_rng(11).normal(0, 1, shape).astype("float32")
