"""Write a SavedModel, for TensorFlow. This module imports TensorFlow."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from resnet50.data.lazy_images import LazyImages
from resnet50.exporters.contract import Contract
from resnet50.graph.bfloat16 import in_bfloat16
from resnet50.inference.features import feature_model


def write(
    model: keras.Model, folder: Path, precision: str, calibration: np.ndarray | LazyImages, contract: Contract
) -> None:
    """Write a network, its batch norm folded.

    Args:
        model: Functional float32 model from RGB ``(n, height, width, 3)``, 0..255, to probabilities.
        folder: An empty folder.
        precision: ``"fp32"`` or ``"bf16"``.
        calibration: Not used.
        contract: Whether there are features; for the rest the format has no place.
    """
    module = as_module(in_bfloat16(model) if precision == "bf16" else model, features=contract.features)
    tf.saved_model.save(module, folder, signatures={"serving_default": module.serve})


def as_module(model: keras.Model, *, features: bool = False) -> tf.Module:
    """Return a module whose function ``serve`` is the model with its weights as constants, which compilers can fold.

    Args:
        model: From images to probabilities.
        features: Whether ``serve`` gives the input of the last dense layer, too, as its second output.
    """
    if features:
        model = keras.Model(model.input, [model.output, feature_model(model).output], name=model.name)
    trained, others = (
        [tf.constant(keras.ops.convert_to_tensor(variable)) for variable in variables]
        for variables in (model.trainable_variables, model.non_trainable_variables)
    )

    def serve(image: tf.Tensor) -> tf.Tensor | tuple[tf.Tensor, ...]:
        outputs = model.stateless_call(trained, others, image, training=False)[0]
        return tuple(outputs) if features else outputs

    module = tf.Module()
    module.serve = tf.function(serve, input_signature=[tf.TensorSpec(model.input_shape, tf.float32, name="image")])
    return module
