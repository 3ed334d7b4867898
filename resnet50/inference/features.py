"""The features of a classifier: the input of its last dense layer."""

from __future__ import annotations

import keras
from keras import layers


def feature_model(model: keras.Model) -> keras.Model:
    """Return the part of a classifier below its last dense layer; it shares layers and weights with the classifier.

    Args:
        model: Flat classifier that ends in a dense layer, with any head.

    Returns:
        Model from raw RGB ``(batch, height, width, 3)``, 0..255, to features ``(batch, d)``, float32: the input of the
        last dense layer. For the paper's network with the head ``linear`` ``d`` is 2048.

    Raises:
        ValueError: If the model has no dense layer.
    """
    return keras.Model(model.input, last_dense(model).input, name=f"{model.name}_features")


def last_dense(model: keras.Model) -> layers.Dense:
    """Return the dense layer whose outputs are the scores of the classes.

    Raises:
        ValueError: If the model has none.
    """
    for layer in reversed(model.layers):
        if isinstance(layer, layers.Dense):
            return layer
    raise ValueError(
        f"the model {model.name!r}: expected a classifier that ends in a dense layer, got one without a dense layer."
    )
