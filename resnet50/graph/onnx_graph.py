"""Convert a classifier to an ONNX graph, layer by layer, with the names of the layers. Needs no Keras.

The usual way, through TensorFlow and tf2onnx, takes eight gigabytes for this network and works on one Keras backend
only. OpenVINO reads the same graph.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from resnet50.graph.expression import IR, OPSET
from resnet50.graph.geometry import FEATURE_MAP, feature_maps
from resnet50.graph.head import Head
from resnet50.graph.network_graph import Graph, references

INPUT, OUTPUT, FEATURES, MAPS = "image", "probabilities", "features", "class_activation_maps"
"""Names of the input and of the outputs."""

_RESERVED = (INPUT, OUTPUT, FEATURES, MAPS, "fit", "fitted")
"""Names that layers may have and tensors here have otherwise."""

_MOST_PADDING = 512  # pixels: more would let a small file take all memory

_SMALL = 1 << 10  # bytes of constants that are never apart

_ACTIVATIONS = {"relu": "Relu", "softmax": "Softmax"}


class UnknownLayerError(ValueError):
    """A layer that has no counterpart in ONNX here."""


def onnx_model(
    graph: Graph, *, head: Head | None = None, apart: dict[str, np.ndarray] | None = None
) -> onnx.ModelProto:
    """Convert a classifier to an ONNX graph, float32, for batches of any size.

    Args:
        graph: Float32 classifier of the layers that `resnet50.build_resnet50` uses, channels last.
        head: Its last layers, for further outputs; None for none.
        apart: Receives the larger constants by name, which the model then only declares, as ``external_data``: ONNX
            Runtime takes them from memory (`SessionOptions.add_external_initializers`), and nobody copies 100 MB
            several times. None for a model that has all of them.

    Returns:
        From ``image``, RGB float32 ``(n, height, width, 3)``, to ``probabilities``, float32 ``(n, classes)``; with a
        head also to ``features``, float32 ``(n, d)``, and, where it is linear, to ``class_activation_maps``, float32
        ``(n, classes, h, w)``: ``relu(sum_k W[k, c] A_k)`` for a class ``c`` and the channels ``A_k`` of the last map.
        The metadata ``feature_map`` is then that map (`resnet50.graph.geometry.FeatureMap`) as JSON.

    Raises:
        UnknownLayerError: If a layer is of another class, or is set up in a way that is not converted here.
    """
    check_layers(graph)
    made = _Nodes(apart)
    names: dict[str, str] = {}  # from a layer to its output
    ranks: dict[str, int] = {}
    image_shape: Sequence[int | None] = ()
    for row in graph.layers:
        name, config = row["name"], row["config"]
        if row["class_name"] == "InputLayer":
            _, *image_shape = config["batch_shape"]
            names[name] = made.add("Transpose", [INPUT], f"{name}/channels_first", perm=(0, 3, 1, 2))
            ranks[name] = len(config["batch_shape"])
            continue
        before = [reference[0] for reference in references(row["inbound_nodes"])]
        converter, (rank,) = _CONVERTERS[row["class_name"]], {ranks[each] for each in before}
        tensor = f"{name}/layer" if name in _RESERVED else name
        layer = _Layer(tensor, config, [names[each] for each in before], graph.weights.get(name, []), rank)
        if rank not in converter.ranks or not _is_converted(row["class_name"], layer, image_shape):
            raise _unknown(graph, row)
        names[name], ranks[name] = converter.convert(made, layer), converter.result or rank
    (last,) = graph.outputs
    classes = graph.weights[last][0].shape[-1] if last in graph.weights else None
    outputs: dict[str, tuple[str, list[Any] | None]] = {OUTPUT: (names[last], ["n", classes])}
    if head:
        outputs[FEATURES] = (names[head.features], ["n", head.width])
    if head and head.feature_map is not None and head.kernel is not None:
        weights = made.constant(np.transpose(head.kernel)[..., None, None], f"{MAPS}/kernel")
        total = made.add("Conv", [names[head.feature_map], weights], f"{MAPS}/sum")
        outputs[MAPS] = (made.add("Relu", [total], f"{MAPS}/relu"), None)
    for output, (tensor, _) in outputs.items():
        made.add("Identity", [tensor], output)
    onnx_graph = helper.make_graph(
        made.nodes,
        graph.name,
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["n", *image_shape])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, (_, shape) in outputs.items()],
    )
    model = helper.make_model(
        onnx_graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR, producer_name="resnet50"
    )
    while made.constants:  # one after the other, since the helpers above would copy all of them twice
        model.graph.initializer.append(made.constants.pop(0))
    if MAPS in outputs and head and (feature_map := feature_maps(graph).get(str(head.feature_map))):
        helper.set_model_props(model, {FEATURE_MAP: json.dumps(asdict(feature_map))})
    return model


def check_layers(graph: Graph) -> None:
    """Refuse a network with layers that are not Keras' own, or not among those that are converted here.

    Raises:
        UnknownLayerError: If there is one.
    """
    inputs = 0
    for row in graph.layers:
        inputs += row["class_name"] == "InputLayer"
        own = row["module"] == "keras.layers" and row["registered_name"] is None
        operation = row["class_name"] == "Flip" and row["module"].startswith("keras.")
        once = len(row["inbound_nodes"]) == 1 or row["class_name"] == "InputLayer"
        if not (once and (own or operation) and row["class_name"] in ("InputLayer", *_CONVERTERS)) or inputs > 1:
            raise _unknown(graph, row)


def _is_converted(class_name: str, layer: _Layer, image_shape: Sequence[int | None]) -> bool:
    """Return whether a layer is set up in a way that its converter below converts."""
    config = layer.config
    dtype = config.get("dtype", "float32")
    policy = dtype["config"]["name"] if isinstance(dtype, dict) else dtype
    settings = policy, config.get("data_format", "channels_last"), config.get("keepdims", False)
    if settings != ("float32", "channels_last", False):
        return False
    if class_name == "Conv2D":  # ONNX Runtime has no "same" padding of a dilated kernel
        dilated = any(rate != 1 for rate in config["dilation_rate"])
        return config["padding"] == "valid" or not (dilated or _leaves_gaps(config, "kernel_size"))
    if class_name == "MaxPooling2D":
        return config["padding"] == "valid" or not _leaves_gaps(config, "pool_size")
    if class_name == "BatchNormalization":
        return config["axis"] in (-1, layer.rank - 1)
    if class_name == "Flip":  # RGB to BGR
        return config["axis"] in (-1, 3) and image_shape[-1] == 3 and layer.inputs[0].endswith("/channels_first")
    if class_name == "ZeroPadding2D":
        return sum(map(sum, config["padding"])) <= _MOST_PADDING
    return True


def _leaves_gaps(config: Mapping[str, Any], size: str) -> bool:
    """Return whether a window is smaller than its stride: ONNX Runtime's "same" then begins elsewhere than Keras'.

    A window of one pixel is none of these, since Keras pads nothing there.
    """
    return any(window < stride for window, stride in zip(config[size], config["strides"], strict=True)) and (
        set(config[size]) != {1}
    )


def _unknown(graph: Graph, row: Mapping[str, Any]) -> UnknownLayerError:
    return UnknownLayerError(
        f"the model {graph.name!r}: expected layers that can be written as ONNX, got {row['name']!r} "
        f"({row['class_name']})."
    )


@dataclass(frozen=True)
class _Layer:
    """A layer, or another operation such as a flip, which has no weights.

    Attributes:
        name: Its name.
        config: Its configuration in Keras.
        inputs: Names of the tensors that enter it.
        weights: Its arrays, in Keras' order.
        rank: Number of dimensions of its input, with the batch.
    """

    name: str
    config: Mapping[str, Any]
    inputs: list[str]
    weights: Sequence[np.ndarray]
    rank: int


class _Nodes:
    """Nodes and constants so far. Feature maps have channels first."""

    def __init__(self, apart: dict[str, np.ndarray] | None) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._apart = apart
        self._paddings: dict[str, tuple[str, tuple[int, ...]]] = {}  # those without a node of their own, so far

    def add(self, operation: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        for tensor in inputs:
            self._pad(tensor)
        self.nodes.append(helper.make_node(operation, inputs, [name], name=name, **attributes))
        return name

    def padded(self, tensor: str, widths: tuple[int, ...], name: str) -> str:
        """Pad a map with zeros at its top, left, bottom and right: a window that strides over it does so itself.

        ONNX Runtime computes in blocks of channels, and a node for the padding takes the map out of them and back.
        """
        self._paddings[name] = tensor, widths
        return name

    def window(self, layer: _Layer, size: str) -> tuple[_Layer, dict[str, Any]]:
        """Return a layer on the map that it strides over, and its padding; as in Keras, an odd pixel of it is last."""
        window, (tensor,) = layer.config[size], layer.inputs
        if layer.config["padding"] == "same" and set(window) != {1}:
            return layer, {"auto_pad": "SAME_UPPER"}
        inside, widths = self._paddings.get(tensor, (tensor, (0, 0, 0, 0)))
        reaches = all(width < side for width, side in zip(widths, [*window, *window], strict=True))
        zeros_change = size == "pool_size" and self._operation(inside) != "Relu"  # the largest of some and zero
        if not reaches or zeros_change:
            return layer, {}
        return replace(layer, inputs=[inside]), {"pads": widths}

    def _operation(self, tensor: str) -> str | None:
        return next((node.op_type for node in self.nodes if tensor in node.output), None)

    def _pad(self, tensor: str) -> None:
        """Add the node of a padding that is used by something else than a window."""
        if tensor in self._paddings:
            inside, (top, left, bottom, right) = self._paddings.pop(tensor)
            widths = self.constant([0, 0, top, left, 0, 0, bottom, right], f"{tensor}/widths")
            self.add("Pad", [inside, widths], tensor)

    def constant(self, values: Any, name: str) -> str:
        array = np.ascontiguousarray(values)
        if self._apart is None or array.nbytes < _SMALL:
            self.constants.append(numpy_helper.from_array(array, name))
        else:
            dtype = helper.np_dtype_to_tensor_dtype(array.dtype)
            declared = TensorProto(name=name, data_type=dtype, dims=array.shape, data_location=TensorProto.EXTERNAL)
            declared.external_data.add(key="location", value=name)
            self.constants.append(declared)
            self._apart[name] = array
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
        known = isinstance(activation, str) and activation in _ACTIVATIONS
        if not known or (activation == "softmax" and layer.rank != 2):  # over channels, which come first here
            raise UnknownLayerError(
                f"the layer {layer.name!r}: expected an activation that can be written as ONNX, one of linear, "
                f"{', '.join(_ACTIVATIONS)}, got {activation!r}."
            )
        return self.add(_ACTIVATIONS[activation], [tensor], f"{layer.name}/{activation}")


def _average_pool(graph: _Nodes, layer: _Layer) -> str:
    return graph.add("Flatten", [graph.add("GlobalAveragePool", layer.inputs, f"{layer.name}/map")], layer.name)


def _convolution(graph: _Nodes, layer: _Layer) -> str:
    kernel, *bias = layer.weights
    layer, padding = graph.window(layer, "kernel_size")
    return graph.weighted(
        "Conv",
        layer,
        [kernel.transpose(3, 2, 0, 1), *bias],
        strides=layer.config["strides"],
        dilations=layer.config["dilation_rate"],
        group=layer.config["groups"],
        **padding,
    )


def _dense(graph: _Nodes, layer: _Layer) -> str:
    return graph.weighted("Gemm", layer, layer.weights)


def _flatten(graph: _Nodes, layer: _Layer) -> str:
    last = graph.add("Transpose", layer.inputs, f"{layer.name}/channels_last", perm=(0, 2, 3, 1))
    return graph.add("Flatten", [last], layer.name)


def _flip(graph: _Nodes, layer: _Layer) -> str:
    return graph.add("Gather", [*layer.inputs, graph.constant([2, 1, 0], f"{layer.name}/order")], layer.name, axis=1)


def _max_pool(graph: _Nodes, layer: _Layer) -> str:
    layer, padding = graph.window(layer, "pool_size")
    size, strides = layer.config["pool_size"], layer.config["strides"]
    return graph.add("MaxPool", layer.inputs, layer.name, kernel_shape=size, strides=strides, **padding)


def _batch_norm(graph: _Nodes, layer: _Layer) -> str:
    *learned, mean, variance = layer.weights
    gamma = learned.pop(0) if layer.config["scale"] else np.ones_like(mean)
    beta = learned.pop(0) if layer.config["center"] else np.zeros_like(mean)
    scale = gamma / np.sqrt(variance + layer.config["epsilon"])
    shape = (-1,) if layer.rank == 2 else (-1, 1, 1)
    return graph.scaled(layer, scale.reshape(shape), (beta - mean * scale).reshape(shape))


def _padding(graph: _Nodes, layer: _Layer) -> str:
    (top, bottom), (left, right) = layer.config["padding"]
    return graph.padded(layer.inputs[0], (top, left, bottom, right), layer.name)


def _rescaling(graph: _Nodes, layer: _Layer) -> str:
    scale, offset = (np.reshape(layer.config[key], (-1, 1, 1)) for key in ("scale", "offset"))
    return graph.scaled(layer, scale, offset)


@dataclass(frozen=True)
class _Converter:
    """How a class of layers is converted.

    Attributes:
        convert: Adds its nodes; returns the name of its output.
        ranks: Numbers of dimensions that its input may have.
        result: That of its output; None for that of its input.
    """

    convert: Callable[[_Nodes, _Layer], str]
    ranks: tuple[int, ...] = (2, 4)
    result: int | None = None


def _add(graph: _Nodes, layer: _Layer) -> str:
    return graph.add("Add" if len(layer.inputs) == 2 else "Sum", layer.inputs, layer.name)


_CONVERTERS: Mapping[str, _Converter] = {
    "Activation": _Converter(lambda graph, layer: graph.activated(layer.inputs[0], layer)),
    "Add": _Converter(_add),
    "BatchNormalization": _Converter(_batch_norm),
    "Conv2D": _Converter(_convolution, (4,)),
    "Dense": _Converter(_dense, (2,)),
    "Dropout": _Converter(lambda graph, layer: layer.inputs[0]),
    "Flatten": _Converter(_flatten, (4,), 2),
    "Flip": _Converter(_flip, (4,)),
    "GlobalAveragePooling2D": _Converter(_average_pool, (4,), 2),
    "MaxPooling2D": _Converter(_max_pool, (4,)),
    "Rescaling": _Converter(_rescaling, (4,)),
    "ZeroPadding2D": _Converter(_padding, (4,)),
}
