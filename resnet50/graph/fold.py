"""Fold batch norm into the convolutions before it: the same network for inference, with far fewer layers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from resnet50._io.keras_settings import keras_defaults
from resnet50.graph.bfloat16 import computes_in_bfloat16


@keras_defaults()
def fold_batch_norm(model: keras.Model, *, precision: str = "float32") -> keras.Model:
    """Fold each batch norm into the convolution before it, where nothing else uses the output of that convolution.

    With fixed statistics ``gamma (W x + b - mean) / sqrt(variance + epsilon) + beta`` is a convolution again, of kernel
    ``s W`` and bias ``beta + s (b - mean)``, where ``s = gamma / sqrt(variance + epsilon)``. The paper's network then
    has 53 fewer layers. A batch norm stays if it follows another layer, as in a head, or a convolution that has an
    activation or whose output is also used elsewhere.

    Args:
        model: Functional model, on any backend; not changed.
        precision: ``"float32"``, or ``"bfloat16"`` for a model that computes in it (`resnet50.graph.bfloat16`).

    Returns:
        A new model of plain Keras layers, which keep their names; it shares no weights with the original and predicts
        the same up to rounding. Do not train it further.

    Raises:
        ValueError: If the model is not functional.

    Source: Ioffe and Szegedy 2015, arXiv:1502.03167, algorithm 2, step 11.
    """
    config = model.get_config()
    if "output_layers" not in config:
        raise ValueError(f"the model {model.name!r}: expected a functional model, got a {type(model).__name__}.")
    rows = {row["name"]: row for row in config["layers"]}
    uses = [*references([row["inbound_nodes"] for row in rows.values()]), *_tensors(config["output_layers"])]
    users = Counter(reference[0] for reference in uses)
    into = {name: before for name in rows if (before := _convolution(rows, name)) and users[before] == 1}
    for reference in uses:
        reference[0] = into.get(reference[0], reference[0])
    for name in into.values():
        rows[name]["config"]["use_bias"] = True
    config["layers"] = [row for name, row in rows.items() if name not in into]
    if precision == "bfloat16":
        for row in config["layers"]:
            # an operation, such as the flip to BGR, has no dtype
            if "dtype" in row["config"] and computes_in_bfloat16(row["class_name"], row["name"], model):
                row["config"]["dtype"] = "bfloat16"
    folded = type(model).from_config(config)
    norms = {before: name for name, before in into.items()}
    for layer in folded.layers:
        source = model.get_layer(layer.name)
        norm = model.get_layer(norms[layer.name]) if layer.name in norms else None
        layer.set_weights(source.get_weights() if norm is None else _merged(source, norm))
    return folded


def _convolution(rows: dict[str, Any], name: str) -> str | None:
    """Return the name of the convolution before a batch norm over channels, where both are called once; else None."""
    row = rows[name]
    if row["class_name"] != "BatchNormalization" or len(row["inbound_nodes"]) != 1:
        return None
    before = rows[next(references(row["inbound_nodes"]))[0]]
    if before["class_name"] != "Conv2D" or len(before["inbound_nodes"]) != 1:
        return None
    config, axis = before["config"], row["config"]["axis"]
    channels = (-1, 3) if config["data_format"] == "channels_last" else (-3, 1)
    return before["name"] if config["activation"] == "linear" and axis in channels else None


def _merged(convolution: keras.layers.Layer, norm: keras.layers.Layer) -> list[np.ndarray]:
    """Return the folded kernel and bias, computed in float64, so that they are rounded once."""
    kernel, *bias = convolution.get_weights()  # (height, width, channels in, channels out)
    weights = [np.float64(values) for values in norm.get_weights()]
    mean, variance = weights[-2:]
    gamma = weights.pop(0) if norm.scale else 1.0
    beta = weights.pop(0) if norm.center else 0.0
    scale = gamma / np.sqrt(variance + norm.epsilon)
    return [
        (kernel * scale).astype(kernel.dtype),
        (beta + scale * sum(bias, -mean)).astype(kernel.dtype),
    ]


def references(value: Any) -> Iterator[list[Any]]:
    """Yield the references to tensors of other layers in the arguments of calls, as lists that a caller may change."""
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            yield value["config"]["keras_history"]
            return
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from references(item)


def _tensors(outputs: Any) -> Iterator[list[Any]]:
    """Yield the references in the outputs of a model, which are one tensor or any structure of tensors."""
    if isinstance(outputs, dict):
        outputs = list(outputs.values())
    if len(outputs) == 3 and isinstance(outputs[0], str):
        yield outputs
    else:
        for output in outputs:
            yield from _tensors(output)
