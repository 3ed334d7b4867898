"""Write ``model.onnx``, for ONNX Runtime. This module imports ``onnx`` and ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import onnx
from onnxruntime.transformers.float16 import convert_float_to_float16

from resnet50.data.lazy_images import LazyImages
from resnet50.exporters.contract import Contract
from resnet50.graph.fit_graph import fitted_inside
from resnet50.graph.head import find_head
from resnet50.graph.network_graph import graph_of
from resnet50.graph.onnx_graph import onnx_model
from resnet50.graph.quantize import quantize


def answering_graph(model: keras.Model, contract: Contract) -> onnx.ModelProto:
    """Return the graph of a network, for probabilities and, where the contract names them, features."""
    graph = graph_of(model)
    head = find_head(graph) if contract.features else None
    return onnx_model(graph, head=replace(head, feature_map=None) if head else None)


def add_texts(folder: Path, texts: Mapping[str, str]) -> None:
    """Replace the texts in the metadata of a file."""
    network = onnx.load(folder / "model.onnx")
    onnx.helper.set_model_props(network, dict(texts))
    onnx.save(network, folder / "model.onnx")


def write(
    model: keras.Model, folder: Path, precision: str, calibration: np.ndarray | LazyImages, contract: Contract
) -> None:
    """Write a network, its batch norm folded.

    Args:
        model: Functional float32 model from RGB ``(n, height, width, 3)``, 0..255, to probabilities.
        folder: An empty folder.
        precision: ``"fp32"``, ``"fp16"`` or ``"int8"``.
        calibration: For int8, images from which the quantizer takes the ranges of the activations.
        contract: What the file says about its input and output.
    """
    network = answering_graph(model, contract)
    if precision == "fp16":
        network = convert_float_to_float16(network, keep_io_types=True)
    elif precision == "int8":
        network = quantize(network, calibration)
    if contract.any_size:
        network = fitted_inside(network, contract.fit)
    onnx.helper.set_model_props(network, contract.texts())
    onnx.save(network, folder / "model.onnx")
