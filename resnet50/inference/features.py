"""The features of a classifier: the input of its last dense layer, or the output of another layer."""

from __future__ import annotations

import keras
from keras import layers

from resnet50._io.text import did_you_mean


def feature_model(model: keras.Model, *, at: str | None = None) -> keras.Model:
    """Return the part of a classifier below its last dense layer, or up to another layer.

    It shares layers and weights with the classifier. Features of earlier layers are less specific to the classes; how
    well a linear classifier separates them shows what each layer adds.

    Args:
        model: Flat classifier that ends in a dense layer, with any head; with ``at`` any flat model.
        at: Name of a layer, such as ``"conv4_block6_out"``; None for the input of the last dense layer.

    Returns:
        Model from raw RGB ``(batch, height, width, 3)``, 0..255, to features ``(batch, d)``, float32: the input of the
        last dense layer. For the paper's network with the head ``linear`` ``d`` is 2048. With ``at``, the output of
        that layer: a feature map ``(batch, h, w, channels)`` for a layer of the backbone.

    Raises:
        ValueError: If the model has no dense layer, or no layer of that name.

    Source: Alain and Bengio 2016, arXiv:1610.01644, for linear classifiers on each layer.
    """
    output = last_dense(model).input if at is None else _layer(model, at).output
    return keras.Model(model.input, output, name=f"{model.name}_features")


def with_features(model: keras.Model) -> keras.Model:
    """Return the model from images to probabilities with features behind them, ``(batch, classes + d)``, float32.

    Raises:
        ValueError: If the model has no dense layer.
    """
    rows = layers.Concatenate(dtype="float32")([model.output, feature_model(model).output])
    return keras.Model(model.input, rows, name=f"{model.name}_with_features")


def pooled_feature_model(model: keras.Model, *, at: str) -> keras.Model:
    """Return the model from images to one vector for each: the output of a layer, its mean over positions for a map.

    Args:
        model: Flat model.
        at: Name of a layer.

    Returns:
        Model to features ``(batch, d)``, float32; ``d`` is the number of channels of a map.

    Raises:
        ValueError: If the model has no layer of that name, or its output is neither a map nor a vector.
    """
    features = feature_model(model, at=at)
    if len(features.output.shape) == 2:
        return features
    if len(features.output.shape) != 4:
        raise ValueError(
            f"the model {model.name!r}: expected a layer whose output is (batch, d) or (batch, h, w, d), got {at!r} "
            f"with {features.output.shape}."
        )
    return keras.Model(features.input, layers.GlobalAveragePooling2D(dtype="float32")(features.output))


def _layer(model: keras.Model, name: str) -> layers.Layer:
    names = [layer.name for layer in model.layers]
    if name not in names:
        raise ValueError(
            f"the model {model.name!r}: expected the name of one of its layers, got {name!r}{did_you_mean(name, names)}"
        )
    return model.get_layer(name)


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
