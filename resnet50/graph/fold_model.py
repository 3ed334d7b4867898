"""A Keras model with its batch norm folded."""

from __future__ import annotations

import keras

from resnet50._io.keras_settings import keras_defaults
from resnet50.graph.bfloat16 import computes_in_bfloat16
from resnet50.graph.fold import fold
from resnet50.graph.network_graph import graph_of


@keras_defaults()
def fold_batch_norm(model: keras.Model, *, precision: str = "float32") -> keras.Model:
    """Fold the batch norm of a Keras model, as `resnet50.graph.fold.fold` does.

    Args:
        model: Functional model, on any backend; not changed.
        precision: ``"float32"``, or ``"bfloat16"`` for a model that computes in it (`resnet50.graph.bfloat16`).

    Returns:
        A new model of plain Keras layers; it shares no weights with the original. Do not train it further.

    Raises:
        ValueError: If the model is not functional.
    """
    graph = fold(graph_of(model))
    if precision == "bfloat16":
        for row in graph.layers:
            # an operation, such as the flip to BGR, has no dtype
            if "dtype" in row["config"] and computes_in_bfloat16(row["class_name"], row["name"], model):
                row["config"]["dtype"] = "bfloat16"
    folded = type(model).from_config(graph.config)
    for layer in folded.layers:
        if layer.name in graph.weights:
            layer.set_weights(graph.weights[layer.name])
    return folded
