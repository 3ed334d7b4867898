"""A network in 8-bit whole numbers, for ONNX Runtime. This module imports ``onnx`` and ONNX Runtime."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

from resnet50._io.quiet import silenced
from resnet50.data.lazy_images import LazyImages
from resnet50.graph.onnx_graph import INPUT, MAPS

_FIRST_STAGE = "conv2_"


def quantize(network: onnx.ModelProto, images: np.ndarray | LazyImages) -> onnx.ModelProto:
    """Quantize a network: weights to int8 for each channel, activations to uint8 for each tensor.

    The convolutions of the first stage and the additions stay in float32. For rocks, 30 classes at 224 pixels, the mean
    error of the probabilities is then 0.037 instead of 0.085, for 30 instead of 28 ms an image on one core.

    Args:
        network: From ``image``, RGB float32 ``(n, height, width, 3)``, as `resnet50.graph.onnx_graph.onnx_model`
            returns it.
        images: Images like those to come, from which the ranges of the activations are taken; RGB
            ``(n, height, width, 3)``, 0..255; some hundred are enough.

    Returns:
        A network with the same input and outputs.

    Raises:
        ValueError: If there are no images, or they do not have the size of the network.
    """
    (entering,) = network.graph.input
    _, *shape = (each.dim_value for each in entering.type.tensor_type.shape.dim)
    if images.ndim != 4 or list(images.shape[1:]) != shape or not len(images):
        raise ValueError(
            f"expected images of shape (n, {', '.join(map(str, shape))}) to calibrate on, got {images.shape}."
        )
    with tempfile.TemporaryDirectory() as folder, silenced():
        quantize_static(
            network,
            Path(folder, "model.onnx"),
            _Images(images),
            op_types_to_quantize=["Conv", "MaxPool"],
            nodes_to_exclude=_in_float32(network),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        return onnx.load(Path(folder, "model.onnx"))


def _in_float32(network: onnx.ModelProto) -> list[str]:
    """Return the convolutions that are not quantized."""
    convolutions = [node.name for node in network.graph.node if node.op_type == "Conv"]
    explaining = f"{MAPS}/sum"  # it is no part of the answer
    return [name for name in convolutions if name in (convolutions[0], explaining) or name.startswith(_FIRST_STAGE)]


class _Images(CalibrationDataReader):
    """Each image as a batch."""

    def __init__(self, images: np.ndarray | LazyImages) -> None:
        self._batches = (np.asarray(images[index : index + 1], np.float32) for index in range(len(images)))

    def get_next(self) -> dict[str, np.ndarray] | None:
        batch = next(self._batches, None)
        return None if batch is None else {INPUT: batch}
