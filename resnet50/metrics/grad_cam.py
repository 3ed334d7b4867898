"""Where on an image a classifier finds what speaks for a class."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from PIL import Image

from resnet50.inference.features import last_dense
from resnet50.metrics.gradients import gradient


def grad_cam(model: keras.Model, images: np.ndarray, classes: np.ndarray, *, batch_size: int = 32) -> np.ndarray:
    """Weigh the channels of the last feature map by what they do for a class, and lay their sum over the image.

    The last map is that of more than one place through which all goes: of images so small that the last stage sees
    them as one place, that of the stage before.

    ``heat = relu(sum_k a_k A_k)``: ``A_k`` is a channel of the map, ``a_k`` the mean over its places of the gradient of
    the class's score before the softmax. Batch norm and dropout behave as when predicting.

    Args:
        model: Flat classifier of convolutions that ends in a dense layer, with any head.
        images: Raw RGB, 0..255, uint8 or float, ``(n, height, width, 3)``.
        classes: For each image the class to explain, int, ``(n,)``.
        batch_size: Images in one forward pass.

    Returns:
        float32 ``(n, height, width)``: enlarged from the map (bilinear) and scaled so that each image's greatest
        value is 1; 0 is where nothing speaks for the class, all of the image if nothing does.

    Raises:
        ValueError: If the images or classes do not fit the model, or it has no feature map that alone decides.

    Source: Selvaraju et al. 2017, arXiv:1610.02391, equations 1 and 2.
    """
    last = last_dense(model)
    classes = np.asarray(classes)
    _check(model, last, images, classes)
    body, tail = _cut(model, last)
    kernel = ops.convert_to_numpy(last.kernel)  # (d, classes)
    heats = np.zeros((len(images), *images.shape[1:3]), np.float32)
    for start in range(0, len(images), batch_size):
        some = slice(start, start + batch_size)
        # called, since to compile it for a few images takes longer than to compute them
        maps = ops.convert_to_numpy(body(images[some], training=False))  # (batch, h, w, channels)
        columns = kernel[:, classes[some]].T  # (batch, d): a score is its column times the features, plus a constant
        slopes = gradient(partial(_score, tail=tail, columns=columns), maps)
        heat = np.einsum("nhwk,nk->nhw", maps, slopes.mean(axis=(1, 2)))
        for row, values in zip(heats[some], np.maximum(heat, 0), strict=True):
            row[:] = _enlarged(values, row.shape)
    return heats


def _score(maps: Any, tail: keras.Model, columns: np.ndarray) -> Any:
    return ops.sum(ops.multiply(tail(maps, training=False), columns))


def _cut(model: keras.Model, last: layers.Dense) -> tuple[keras.Model, keras.Model]:
    """Return the model up to the last feature map of several places that alone decides, and from there to the end."""
    for layer in reversed(model.layers):
        feature_map = layer.output
        if len(feature_map.shape) != 4 or feature_map.shape[1:3] == (1, 1) or isinstance(layer, layers.InputLayer):
            continue
        with suppress(ValueError):  # there is another way past this one
            return keras.Model(model.input, feature_map), keras.Model(feature_map, last.input)
    raise ValueError(
        f"the model {model.name!r}: Grad-CAM needs a feature map (batch, h, w, k) of several places that alone decides "
        "what the scores are, found none."
    )


def _enlarged(heat: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    height, width = shape
    large = np.asarray(Image.fromarray(heat).resize((width, height), Image.Resampling.BILINEAR))
    return large / (large.max() or 1)


def _check(model: keras.Model, last: layers.Dense, images: np.ndarray, classes: np.ndarray) -> None:
    shape = model.input_shape
    if images.ndim != len(shape) or any(b not in (None, a) for a, b in zip(images.shape, shape, strict=True)):
        raise ValueError(f"the model {model.name!r}: expected images {shape}, got {images.shape}.")
    if classes.shape != (len(images),) or classes.dtype.kind not in "iu":
        raise ValueError(
            f"expected a class for each of {len(images)} images, whole numbers ({len(images)},), "
            f"got {classes.dtype} {classes.shape}."
        )
    if len(classes) and not 0 <= classes.min() <= classes.max() < last.units:
        raise ValueError(f"classes must be 0..{last.units - 1}, got {classes.min()}..{classes.max()}.")
