"""What a classifier has made of an image just before it decides."""

from __future__ import annotations

import keras
from keras import layers


def feature_model(model: keras.Model) -> keras.Model:
    """Cut a classifier off before its last dense layer; layers and weights are the classifier's own, not copies.

    Args:
        model: Flat classifier that ends in a dense layer, with any head.

    Returns:
        Model from raw RGB ``(batch, height, width, 3)``, 0..255, to features ``(batch, d)``, float32: what the last
        dense layer is given. With the head ``linear`` of the paper's network ``d`` is 2048.

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
        f"the model {model.name!r}: expected a classifier that ends in a dense layer, found no dense layer."
    )
