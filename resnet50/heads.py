"""Classifier heads: what turns the last feature map into class probabilities.

A head is a function ``(features, classes) -> probabilities``. Choose one by its name in `HEADS`, or pass your own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from keras import KerasTensor, layers

Head = Callable[[KerasTensor, int], KerasTensor]


def linear(features: KerasTensor, classes: int, activation: Any = "softmax") -> KerasTensor:
    """Average each channel over the image, then one dense layer: the head of the paper.

    Args:
        features: Last feature map, ``(batch, height, width, channels)``, float.
        classes: Number of classes.
        activation: Activation of the last layer; ``"softmax"`` gives probabilities, None gives logits.

    Returns:
        ``(batch, classes)``, float32 whatever the precision of the backbone.

    Source: He et al. 2015, arXiv:1512.03385, table 1 (last row).
    """
    x = layers.GlobalAveragePooling2D(name="avg_pool")(features)  # (batch, channels)
    return _predictions(x, classes, activation)


def norm(features: KerasTensor, classes: int) -> KerasTensor:
    """Average each channel, bring all of them to one scale over the batch, then one dense layer.

    Args:
        features: Last feature map, ``(batch, height, width, channels)``, float.
        classes: Number of classes.

    Returns:
        ``(batch, classes)``, float32.

    Source: Ioffe and Szegedy 2015, arXiv:1502.03167, algorithms 1 and 2.
    """
    x = layers.GlobalAveragePooling2D(name="avg_pool")(features)  # (batch, channels)
    # the moving statistics follow within some ten steps, as in `Conventions.from_scratch`
    x = layers.BatchNormalization(momentum=0.9, name="head_bn")(x)
    return _predictions(x, classes, "softmax")


def mlp(features: KerasTensor, classes: int) -> KerasTensor:
    """Average each channel, then dense layers of 512 and 128 units with dropout before the classifier.

    Args:
        features: Last feature map, ``(batch, height, width, channels)``, float.
        classes: Number of classes.

    Returns:
        ``(batch, classes)``, float32.
    """
    x = layers.GlobalAveragePooling2D(name="avg_pool")(features)  # (batch, channels)
    for units in (512, 128):
        x = layers.Dense(units, activation="relu", name=f"head_dense_{units}")(x)
        x = layers.Dropout(0.5, name=f"head_dropout_{units}")(x)
    return _predictions(x, classes, "softmax")


def flatten(features: KerasTensor, classes: int) -> KerasTensor:
    """Keep where on the image a feature is: every value of the map goes into a dense layer of 384 units.

    Args:
        features: Last feature map, ``(batch, height, width, channels)``, float; height and width known.
        classes: Number of classes.

    Returns:
        ``(batch, classes)``, float32.

    Raises:
        ValueError: If the map has no fixed height and width.
    """
    if None in features.shape[1:]:
        raise ValueError(
            f"the head 'flatten' needs images of one size, got a feature map of {tuple(features.shape)}; "
            "name both sides in input_shape, or take another head."
        )
    x = layers.Flatten(name="head_flatten")(features)  # (batch, height * width * channels)
    x = layers.Dense(384, activation="relu", name="head_dense_384")(x)
    return _predictions(x, classes, "softmax")


HEADS: Mapping[str, Head] = MappingProxyType({"linear": linear, "norm": norm, "mlp": mlp, "flatten": flatten})


def find_head(head: str | Head) -> Head:
    """Return the head of that name, or the function itself.

    Raises:
        ValueError: If no head has that name.
    """
    if callable(head):
        return head
    if head not in HEADS:
        raise ValueError(f"head must be one of {', '.join(HEADS)}, or a function, got {head!r}.")
    return HEADS[head]


def _predictions(x: KerasTensor, classes: int, activation: Any) -> KerasTensor:
    # float32 always: a bfloat16 softmax has three digits, too few for a loss.
    return layers.Dense(classes, activation=activation, dtype="float32", name="predictions")(x)
