"""Write ``model.tflite``, for LiteRT. This module imports TensorFlow, which has the converter."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from resnet50.data.lazy_images import LazyImages
from resnet50.exporters.contract import Contract
from resnet50.exporters.images import batches_of_one
from resnet50.exporters.litert_metadata import with_metadata
from resnet50.exporters.saved_model import as_module


def write(
    model: keras.Model, folder: Path, precision: str, calibration: np.ndarray | LazyImages, contract: Contract
) -> None:
    """Write a network, its batch norm folded.

    Args:
        model: Functional float32 model from RGB ``(n, height, width, 3)``, 0..255, to probabilities.
        folder: An empty folder.
        precision: ``"fp32"``, ``"fp16"``, ``"int8"``, or ``"uint8"`` for int8 with pixels and probabilities of 8 bits.
        calibration: For int8 and uint8, images from which the quantizer takes the ranges of the activations.
        contract: What the file says about its input and output.
    """
    module = as_module(model, features=contract.features)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([module.serve.get_concrete_function()], module)
    if precision != "fp32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "fp16":
        converter.target_spec.supported_types = [tf.float16]
    elif precision in ("int8", "uint8"):
        converter.representative_dataset = lambda: ([image] for image in batches_of_one(calibration))
    if precision == "uint8":
        converter.inference_input_type = converter.inference_output_type = tf.uint8
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    content = with_metadata(
        converter.convert(),
        name=model.name,
        description=contract.texts()["image"],
        labels=contract.labels,
        size=contract.image["size"],
        features=contract.features,
    )
    (folder / "model.tflite").write_bytes(content)
