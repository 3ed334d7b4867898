"""Write a SavedModel, for TensorFlow. This module imports TensorFlow."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from resnet50.data.lazy_images import LazyImages
from resnet50.exporters.contract import Contract
from resnet50.graph.bfloat16 import in_bfloat16


def write(
    model: keras.Model, folder: Path, precision: str, calibration: np.ndarray | LazyImages, contract: Contract
) -> None:
    """Write a network, its batch norm folded.

    Args:
        model: Functional float32 model from RGB ``(n, height, width, 3)``, 0..255, to probabilities.
        folder: An empty folder.
        precision: ``"fp32"`` or ``"bf16"``.
        calibration: Not used.
        contract: Not used: the format has no place for it.
    """
    module = as_module(in_bfloat16(model) if precision == "bf16" else model)
    tf.saved_model.save(module, folder, signatures={"serving_default": module.serve})


def as_module(model: keras.Model) -> tf.Module:
    """Return a module whose function ``serve`` is the model with its weights as constants, which compilers can fold."""
    trained, others = (
        [tf.constant(keras.ops.convert_to_tensor(variable)) for variable in variables]
        for variables in (model.trainable_variables, model.non_trainable_variables)
    )

    def serve(image: tf.Tensor) -> tf.Tensor:
        return model.stateless_call(trained, others, image, training=False)[0]

    module = tf.Module()
    module.serve = tf.function(serve, input_signature=[tf.TensorSpec(model.input_shape, tf.float32, name="image")])
    return module
