"""Convert a Keras classifier to an ONNX graph, layer by layer, with the names of the layers.

The usual way, through TensorFlow and tf2onnx, takes eight gigabytes for this network and works on one Keras backend
only. OpenVINO reads the same graph.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from resnet50.graph.fold import references

INPUT, OUTPUT = "image", "probabilities"
"""Names of the input and the output."""

_OPSET, _IR = 17, 8  # of 2022: new enough for all operations here, and read by every later runtime

_ACTIVATIONS = {"relu": "Relu", "softmax": "Softmax"}


def onnx_model(model: keras.Model) -> onnx.ModelProto:
    """Convert a classifier to an ONNX graph, float32, for batches of any size.

    Args:
        model: Functional float32 classifier on any backend, of the layers that `resnet50.build_resnet50` uses; channels
            last.

    Returns:
        From ``image``, RGB float32 ``(n, height, width, 3)``, to ``probabilities``, float32 ``(n, classes)``.

    Raises:
        ValueError: If a layer is of another class, or has an activation other than linear, ReLU and softmax.
    """
    graph = _Graph()
    _, *image_size, channels = model.input_shape
    weights = {layer.name: layer.get_weights() for layer in model.layers}
    names: dict[str, str] = {}  # from a layer to its output
    for row in model.get_config()["layers"]:
        name, class_name = row["name"], row["class_name"]
        if class_name == "InputLayer":
            names[name] = graph.add("Transpose", [INPUT], f"{name}/channels_first", perm=(0, 3, 1, 2))
        elif class_name in _CONVERTERS and len(row["inbound_nodes"]) == 1:
            inputs = [names[reference[0]] for reference in references(row["inbound_nodes"])]
            rank = len(row.get("build_config", {}).get("input_shape", ()))
            layer = _Layer(name, row["config"], inputs, weights.get(name, []), rank)
            names[name] = _CONVERTERS[class_name](graph, layer)
        else:
            raise ValueError(
                f"the model {model.name!r}: expected layers that can be written as ONNX, got {name!r} ({class_name})."
            )
    graph.nodes.append(helper.make_node("Identity", [names[model.output_names[0]]], [OUTPUT]))
    onnx_graph = helper.make_graph(
        graph.nodes,
        model.name,
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["n", *image_size, channels])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", model.output_shape[-1]])],
        graph.constants,
    )
    return helper.make_model(
        onnx_graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR, producer_name="resnet50"
    )


@dataclass(frozen=True)
class _Layer:
    """A layer, or another operation such as a flip, which has no weights.

    Attributes:
        name: Its name.
        config: Its configuration in Keras.
        inputs: Names of the tensors that enter it.
        weights: Its arrays, in Keras' order.
        rank: Number of dimensions of its input with the batch; 0 where Keras does not record it.
    """

    name: str
    config: Mapping[str, Any]
    inputs: list[str]
    weights: list[np.ndarray]
    rank: int


class _Graph:
    """Nodes and constants so far. Feature maps have channels first."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, operation: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operation, inputs, [name], name=name, **attributes))
        return name

    def constant(self, values: Any, name: str) -> str:
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def weighted(self, operation: str, layer: _Layer, weights: Sequence[np.ndarray], **attributes: Any) -> str:
        words = ("kernel", "bias")[: len(weights)]
        constants = [self.constant(array, f"{layer.name}/{word}") for array, word in zip(weights, words, strict=True)]
        output = self.add(operation, [*layer.inputs, *constants], layer.name, **attributes)
        return self.activated(output, layer)

    def scaled(self, layer: _Layer, scale: Any, offset: Any) -> str:
        factor, term = (
            self.constant(np.float32(values), f"{layer.name}/{word}")
            for values, word in ((scale, "scale"), (offset, "offset"))
        )
        return self.add("Add", [self.add("Mul", [*layer.inputs, factor], f"{layer.name}/product"), term], layer.name)

    def activated(self, tensor: str, layer: _Layer) -> str:
        activation = layer.config["activation"]
        if activation == "linear":
            return tensor
        if activation not in _ACTIVATIONS:
            raise ValueError(
                f"the layer {layer.name!r}: expected an activation that can be written as ONNX, one of linear, "
                f"{', '.join(_ACTIVATIONS)}, got {activation!r}."
            )
        return self.add(_ACTIVATIONS[activation], [tensor], f"{layer.name}/{activation}")


def _average_pool(graph: _Graph, layer: _Layer) -> str:
    return graph.add("Flatten", [graph.add("GlobalAveragePool", layer.inputs, f"{layer.name}/map")], layer.name)


def _convolution(graph: _Graph, layer: _Layer) -> str:
    kernel, *bias = layer.weights
    return graph.weighted(
        "Conv",
        layer,
        [kernel.transpose(3, 2, 0, 1), *bias],
        strides=layer.config["strides"],
        dilations=layer.config["dilation_rate"],
        group=layer.config["groups"],
        auto_pad=_PADDINGS[layer.config["padding"]],
    )


def _dense(graph: _Graph, layer: _Layer) -> str:
    return graph.weighted("Gemm", layer, layer.weights)


def _flatten(graph: _Graph, layer: _Layer) -> str:
    last = graph.add("Transpose", layer.inputs, f"{layer.name}/channels_last", perm=(0, 2, 3, 1))
    return graph.add("Flatten", [last], layer.name)


def _flip(graph: _Graph, layer: _Layer) -> str:
    return graph.add("Gather", [*layer.inputs, graph.constant([2, 1, 0], f"{layer.name}/order")], layer.name, axis=1)


def _max_pool(graph: _Graph, layer: _Layer) -> str:
    return graph.add(
        "MaxPool",
        layer.inputs,
        layer.name,
        kernel_shape=layer.config["pool_size"],
        strides=layer.config["strides"],
        auto_pad=_PADDINGS[layer.config["padding"]],
    )


def _batch_norm(graph: _Graph, layer: _Layer) -> str:
    *learned, mean, variance = layer.weights
    gamma = learned.pop(0) if layer.config["scale"] else np.ones_like(mean)
    beta = learned.pop(0) if layer.config["center"] else np.zeros_like(mean)
    scale = gamma / np.sqrt(variance + layer.config["epsilon"])
    shape = (-1,) if layer.rank == 2 else (-1, 1, 1)
    return graph.scaled(layer, scale.reshape(shape), (beta - mean * scale).reshape(shape))


def _padding(graph: _Graph, layer: _Layer) -> str:
    (top, bottom), (left, right) = layer.config["padding"]
    widths = graph.constant([0, 0, top, left, 0, 0, bottom, right], f"{layer.name}/widths")
    return graph.add("Pad", [*layer.inputs, widths], layer.name)


def _rescaling(graph: _Graph, layer: _Layer) -> str:
    scale, offset = (np.reshape(layer.config[key], (-1, 1, 1)) for key in ("scale", "offset"))
    return graph.scaled(layer, scale, offset)


_PADDINGS = {"valid": "VALID", "same": "SAME_UPPER"}  # as in Keras, an odd pixel of padding comes last

_CONVERTERS: Mapping[str, Callable[[_Graph, _Layer], str]] = {
    "Activation": lambda graph, layer: graph.activated(layer.inputs[0], layer),
    "Add": lambda graph, layer: graph.add("Add", layer.inputs, layer.name),
    "BatchNormalization": _batch_norm,
    "Conv2D": _convolution,
    "Dense": _dense,
    "Dropout": lambda graph, layer: layer.inputs[0],
    "Flatten": _flatten,
    "Flip": _flip,
    "GlobalAveragePooling2D": _average_pool,
    "MaxPooling2D": _max_pool,
    "Rescaling": _rescaling,
    "ZeroPadding2D": _padding,
}
