"""What a position of a feature map sees of an image: by the geometry of the layers, and by gradients."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops

from resnet50.graph.geometry import FeatureMap, ReceptiveField, feature_maps
from resnet50.graph.network_graph import graph_of
from resnet50.inference.features import feature_model
from resnet50.metrics.gradients import gradient


def receptive_field(model: keras.Model, *, at: str | None = None) -> ReceptiveField:
    """Compute the receptive field of a feature map from kernels, strides and paddings.

    Where layers with kernel ``k``, stride ``s`` and ``p`` positions of padding in front follow each other, a layer adds
    ``(k - 1) * jump`` to the size and moves the first center by ``((k - 1) / 2 - p) * jump``, and multiplies the jump
    by ``s`` afterwards. Where paths meet, the size is that of all of them together. In ResNet-50 every kernel is padded
    by ``(k - 1) / 2`` on each side, so that cell ``i`` is centered on pixel ``jump * i`` in both conventions, for every
    image size. The last stage has 483 pixels in v1, 427 in v1.5, and a jump of 32.

    Args:
        model: Functional model from images ``(batch, height, width, channels)``.
        at: Name of a layer, such as ``"conv4_block6_out"``; None for the last feature map.

    Returns:
        Size, jump and center of the first cell, in pixels.

    Raises:
        ValueError: If the model is not functional, or the output of the layer has no positions, or is behind a layer
            other than convolutions, poolings, padding and those that work at each position alone; or if a strided layer
            has ``padding="same"``, which depends on the size of the image, and the model takes images of any size.

    Source: Araujo, Norris and Sim 2019, https://distill.pub/2019/computing-receptive-fields.
    """
    return _feature_map(model, at).field


def effective_receptive_field(
    model: keras.Model, images: np.ndarray, *, at: str | None = None, cell: tuple[int, int] | None = None
) -> np.ndarray:
    """Measure how strongly each pixel moves one position of a feature map: the mean absolute gradient over images.

    The pixels in the middle of the receptive field have many paths to the position, those at its edge few, so that the
    effective field is much smaller than the theoretical one and roughly Gaussian; ``(field > 0.0455).sum() ** 0.5`` is
    its width in pixels. In residual networks most of the gradient takes short paths, which see less.

    Args:
        model: Flat model, on any backend but NumPy.
        images: Raw RGB, 0..255, ``(n, height, width, 3)``, at least one; a few dozen are enough.
        at: Name of a layer with positions; None for the last feature map.
        cell: Position, (row, column); None for the one in the middle.

    Returns:
        float32 ``(height, width)``: the absolute gradient of the sum of the position's channels, summed over the
        channels of the image and averaged over images, scaled so that its maximum is 1.

    Raises:
        ValueError: If the model has no such layer, or Keras runs on a backend without gradients.

    Source: Luo, Li, Urtasun and Zemel 2016, arXiv:1701.04128; short paths: Veit, Wilber and Belongie 2016,
    arXiv:1605.06431.
    """
    layer = _feature_map(model, at).layer
    backbone = feature_model(model, at=layer)
    total = np.zeros(images.shape[1:3], np.float64)
    for image in np.asarray(images, np.float32)[:, None]:  # one by one, since gradients take much memory
        row, column = cell or [length // 2 for length in backbone.compute_output_shape(image.shape)[1:3]]
        total += np.abs(gradient(partial(_activation, backbone, row, column), image)).sum(axis=(0, 3))
    return (total / (total.max() or 1)).astype(np.float32)


def _activation(backbone: keras.Model, row: int, column: int, image: Any) -> Any:
    return ops.sum(backbone(image, training=False)[:, row, column])


def _feature_map(model: keras.Model, at: str | None) -> FeatureMap:
    maps = feature_maps(graph_of(model))
    name = [*maps][-1] if at is None and maps else at
    if name in maps:
        return maps[name]
    raise ValueError(
        f"the model {model.name!r}: expected a layer whose output has positions, behind convolutions, poolings and "
        f"other layers of known geometry alone, got {at!r}."
    )
