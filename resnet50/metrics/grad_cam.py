"""Grad-CAM: the regions of an image that support a class."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from resnet50.inference.features import last_dense
from resnet50.metrics.gradients import gradient
from resnet50.metrics.heat_map import check_classes, enlarge


def grad_cam(model: keras.Model, images: np.ndarray, classes: np.ndarray, *, batch_size: int = 32) -> np.ndarray:
    """Weight the channels of the last feature map by their effect on a class, and sum them to a heat map.

    ``heat = relu(sum_k a_k A_k)``: ``A_k`` is a channel of the map, ``a_k`` the mean over its positions of the gradient
    of the class's score before the softmax. Batch norm and dropout are in inference mode.

    The map is the last one of more than one position that every path through the network crosses. For images so small
    that the last stage has one position, it is the output of the stage before.

    Args:
        model: Flat convolutional classifier that ends in a dense layer, with any head.
        images: Raw RGB, 0..255, uint8 or float, ``(n, height, width, 3)``.
        classes: The class to explain for each image, int, ``(n,)``.
        batch_size: Images in one forward pass.

    Returns:
        float32 ``(n, height, width)``: resized from the map (bilinear) and scaled so that each image's maximum is 1; 0
        where nothing supports the class, which may be the whole image.

    Raises:
        ValueError: If the images or classes do not fit the model, or it has no feature map that every path crosses.

    Source: Selvaraju et al. 2017, arXiv:1610.02391, equations 1 and 2.
    """
    last = last_dense(model)
    classes = np.asarray(classes)
    _check(model, last, images, classes)
    backbone, tail = _cut(model, last)
    kernel = ops.convert_to_numpy(last.kernel)  # (d, classes)
    heats = np.zeros((len(images), *images.shape[1:3]), np.float32)
    for start in range(0, len(images), batch_size):
        batch = slice(start, start + batch_size)
        # called eagerly, since compiling takes longer than computing a few images
        maps = ops.convert_to_numpy(backbone(images[batch], training=False))  # (batch, h, w, channels)
        columns = kernel[:, classes[batch]].T  # (batch, d): a score is its column times the features, plus a constant
        slopes = gradient(partial(_score, tail=tail, columns=columns), maps)
        heat = np.einsum("nhwk,nk->nhw", maps, slopes.mean(axis=(1, 2)))
        for row, values in zip(heats[batch], np.maximum(heat, 0), strict=True):
            row[:] = enlarge(values, row.shape)
    return heats


def map_shape(model: keras.Model) -> tuple[int, int]:
    """Return the height and width of the feature map that `grad_cam` weights.

    Raises:
        ValueError: If the model has none.
    """
    backbone, _ = _cut(model, last_dense(model))
    _, height, width, _ = backbone.output_shape
    return height, width


def _score(maps: Any, tail: keras.Model, columns: np.ndarray) -> Any:
    return ops.sum(ops.multiply(tail(maps, training=False), columns))


def _cut(model: keras.Model, last: layers.Dense) -> tuple[keras.Model, keras.Model]:
    """Return the model up to the last feature map of several positions that every path crosses, and the rest of it."""
    for layer in reversed(model.layers):
        feature_map = layer.output
        if len(feature_map.shape) != 4 or feature_map.shape[1:3] == (1, 1) or isinstance(layer, layers.InputLayer):
            continue
        with suppress(ValueError):  # another path bypasses this map
            return keras.Model(model.input, feature_map), keras.Model(feature_map, last.input)
    raise ValueError(
        f"the model {model.name!r}: expected for Grad-CAM a feature map (batch, h, w, k) of several positions that "
        "every path through the network crosses, got none."
    )


def _check(model: keras.Model, last: layers.Dense, images: np.ndarray, classes: np.ndarray) -> None:
    shape = model.input_shape
    if images.ndim != len(shape) or any(b not in (None, a) for a, b in zip(images.shape, shape, strict=True)):
        raise ValueError(f"the model {model.name!r}: expected images {shape}, got {images.shape}.")
    check_classes(classes, len(images), last.units)
