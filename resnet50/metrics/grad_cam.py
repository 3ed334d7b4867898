"""Grad-CAM: the regions of an image that support a class."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from resnet50.graph.explained_map import find_explained_map
from resnet50.graph.geometry import FeatureMap
from resnet50.graph.network_graph import graph_of
from resnet50.inference.features import last_dense
from resnet50.metrics.gradients import gradient
from resnet50.metrics.heat_map import check_classes, place


def grad_cam(
    model: keras.Model, images: np.ndarray, classes: np.ndarray, *, at: str | None = None, batch_size: int = 8
) -> np.ndarray:
    """Weight the channels of a feature map by their effect on a class, and sum them to a heat map.

    ``heat = relu(sum_k a_k A_k)``: ``A_k`` is a channel of the map, ``a_k`` the mean over its positions of the gradient
    of the class's score before the softmax. Batch norm and dropout are in inference mode.

    Each cell of the map is drawn where it is centered on the image (`resnet50.receptive_field`), which is not where a
    resize would put it: cell ``i`` of this network is centered on pixel ``jump * i``. Between the centers the heat is
    interpolated (bilinear), and beyond the outermost ones it is constant.

    Args:
        model: Flat convolutional classifier that ends in a dense layer, with any head.
        images: Raw RGB, 0..255, uint8 or float, ``(n, height, width, 3)``.
        classes: The class to explain for each image, int, ``(n,)``.
        at: Name of the layer whose output is the feature map; every path through the network must cross it. None for
            the last one of which four cells fit beside each other on the image: the output of the last stage from 128
            pixels on, and that of an earlier stage for smaller images (`explained_map` returns it).
        batch_size: Images in one forward pass.

    Returns:
        float32 ``(n, height, width)``, scaled so that each image's maximum is 1; 0 where nothing supports the class,
        which may be the whole image.

    Raises:
        ValueError: If the images or classes do not fit the model, or it has no such feature map of known geometry.

    Source: Selvaraju et al. 2017, arXiv:1610.02391, equations 1 and 2. The centers: Araujo, Norris and Sim 2019,
    https://distill.pub/2019/computing-receptive-fields.
    """
    last = last_dense(model)
    classes = np.asarray(classes)
    _check(model, last, images, classes)
    feature_map = explained_map(model, images.shape[1:3], at=at)
    cut = model.get_layer(feature_map.layer).output
    backbone, tail = keras.Model(model.input, cut), keras.Model(cut, last.input)
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
            row[:] = place(values, feature_map.field, row.shape)
    return heats


def _score(maps: Any, tail: keras.Model, columns: np.ndarray) -> Any:
    return ops.sum(ops.multiply(tail(maps, training=False), columns))


def explained_map(model: keras.Model, image_size: tuple[int, int], *, at: str | None = None) -> FeatureMap:
    """Return the feature map that `grad_cam` uses for images of this (height, width), which says how coarse it is.

    Raises:
        ValueError: As `grad_cam`.
    """
    return find_explained_map(graph_of(model), below=last_dense(model).name, image_size=image_size, layer=at)


def _check(model: keras.Model, last: layers.Dense, images: np.ndarray, classes: np.ndarray) -> None:
    shape = model.input_shape
    if images.ndim != len(shape) or any(b not in (None, a) for a, b in zip(images.shape, shape, strict=True)):
        raise ValueError(f"the model {model.name!r}: expected images {shape}, got {images.shape}.")
    check_classes(classes, len(images), last.units)
