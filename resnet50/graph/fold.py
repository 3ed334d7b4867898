"""Fold batch norm into the convolutions before it: the same network for inference, with far fewer layers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import numpy as np

from resnet50.graph.network_graph import Graph, references, tensors


def fold(graph: Graph) -> Graph:
    """Fold each batch norm into the convolution before it, where nothing else uses the output of that convolution.

    With fixed statistics ``gamma (W x + b - mean) / sqrt(variance + epsilon) + beta`` is a convolution again, of kernel
    ``s W`` and bias ``beta + s (b - mean)``, where ``s = gamma / sqrt(variance + epsilon)``. The paper's network then
    has 53 fewer layers. A batch norm stays if it follows another layer, as in a head, or a convolution that has an
    activation or whose output is also used elsewhere.

    Args:
        graph: A network; not changed.

    Returns:
        A network whose layers keep their names, and which predicts the same up to rounding.

    Source: Ioffe and Szegedy 2015, arXiv:1502.03167, algorithm 2, step 11.
    """
    config = deepcopy(dict(graph.config))
    rows = {row["name"]: row for row in config["layers"]}
    uses = [*references([row["inbound_nodes"] for row in rows.values()]), *tensors(config["output_layers"])]
    users = Counter(reference[0] for reference in uses)
    into = {name: before for name in rows if (before := _convolution(rows, name)) and users[before] == 1}
    for reference in uses:
        reference[0] = into.get(reference[0], reference[0])
    for name in into.values():
        rows[name]["config"]["use_bias"] = True
    config["layers"] = [row for name, row in rows.items() if name not in into]
    weights = {name: arrays for name, arrays in graph.weights.items() if name not in into}
    for norm, convolution in into.items():
        weights[convolution] = _merged(graph.weights[convolution], graph.weights[norm], rows[norm]["config"])
    return Graph(config, weights)


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
    return str(before["name"]) if config["activation"] == "linear" and axis in channels else None


def _merged(
    convolution: Sequence[np.ndarray], norm: Sequence[np.ndarray], config: Mapping[str, Any]
) -> list[np.ndarray]:
    """Return the folded kernel and bias, computed in float64, so that they are rounded once."""
    kernel, *bias = convolution  # (height, width, channels in, channels out)
    weights = [np.float64(values) for values in norm]
    mean, variance = weights[-2:]
    gamma = weights.pop(0) if config["scale"] else 1.0
    beta = weights.pop(0) if config["center"] else 0.0
    scale = gamma / np.sqrt(variance + config["epsilon"])
    return [
        (kernel * scale).astype(kernel.dtype),
        (beta + scale * sum(bias, -mean)).astype(kernel.dtype),
    ]
