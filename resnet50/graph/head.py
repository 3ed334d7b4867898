"""The parts of a classifier's graph that explain its answer: features, and the map that they are the mean of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from resnet50.graph.network_graph import Graph, references


@dataclass(frozen=True, eq=False)
class Head:
    """The last layers of a classifier.

    Attributes:
        features: Name of the layer that gives the input of the last dense layer.
        width: Number of features.
        feature_map: Name of the layer whose mean over positions decides, by a linear function; None for a head that is
            not linear.
        kernel: Weights of that function, float32 ``(channels, classes)``: for the head ``linear`` the dense layer's,
            for ``norm`` those times ``gamma / sqrt(variance + epsilon)``.
    """

    features: str
    width: int
    feature_map: str | None
    kernel: np.ndarray | None


def find_head(graph: Graph) -> Head | None:
    """Find the last layers of a classifier; None if it does not end in a dense layer."""
    rows = {row["name"]: row for row in graph.layers}
    last = rows[graph.outputs[0]]
    if last["class_name"] != "Dense":
        return None
    features = below = _below(rows, last)
    kernel = graph.weights[last["name"]][0].astype(np.float64)
    width = len(kernel)
    if below["class_name"] == "BatchNormalization":
        config, arrays = below["config"], [values.astype(np.float64) for values in graph.weights[below["name"]]]
        gamma = arrays[0] if config["scale"] else 1.0
        kernel *= np.reshape(gamma / np.sqrt(arrays[-1] + config["epsilon"]), (-1, 1))
        below = _below(rows, below)
    if below["class_name"] != "GlobalAveragePooling2D":
        return Head(features["name"], width, None, None)
    return Head(features["name"], width, _below(rows, below)["name"], kernel.astype(np.float32))


def _below(rows: dict[str, dict[str, Any]], row: dict[str, Any]) -> dict[str, Any]:
    """Return the layer whose output enters a layer."""
    return rows[next(references(row["inbound_nodes"]))[0]]
