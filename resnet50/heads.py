"""Classifier heads, which turn the last feature map into class probabilities.

A head is a function ``(features, classes) -> probabilities``. Choose one by name from `HEADS`, or pass your own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from keras import KerasTensor, layers

Head = Callable[[KerasTensor, int], KerasTensor]


def linear(features: KerasTensor, classes: int, activation: Any = "softmax") -> KerasTensor:
    """Add global average pooling and one dense layer, the head of the paper.

    Args:
        features: Last feature map, ``(N, H, W, C)``, float.
        classes: Number of classes.
        activation: Activation of the last layer; ``"softmax"`` gives probabilities, None gives logits.

    Returns:
        ``(N, classes)``, float32 whatever the precision of the backbone.

    Source: He et al. 2015, arXiv:1512.03385, table 1 (last row).
    """
    x = layers.GlobalAveragePooling2D(name="avg_pool")(features)  # (N, C)
    return _predictions(x, classes, activation)


def norm(features: KerasTensor, classes: int) -> KerasTensor:
    """Add global average pooling, batch norm and one dense layer.

    Args:
        features: Last feature map, ``(N, H, W, C)``, float.
        classes: Number of classes.

    Returns:
        ``(N, classes)``, float32.

    Source: Ioffe and Szegedy 2015, arXiv:1502.03167, algorithms 1 and 2.
    """
    x = layers.GlobalAveragePooling2D(name="avg_pool")(features)  # (N, C)
    # the moving statistics adapt within about ten steps, as in `Conventions.from_scratch`
    x = layers.BatchNormalization(momentum=0.9, name="head_bn")(x)
    return _predictions(x, classes, "softmax")


def mlp(features: KerasTensor, classes: int) -> KerasTensor:
    """Add global average pooling, dense layers of 512 and 128 units with dropout, and the classifier.

    Args:
        features: Last feature map, ``(N, H, W, C)``, float.
        classes: Number of classes.

    Returns:
        ``(N, classes)``, float32.
    """
    x = layers.GlobalAveragePooling2D(name="avg_pool")(features)  # (N, C)
    for units in (512, 128):
        x = layers.Dense(units, activation="relu", name=f"head_dense_{units}")(x)
        x = layers.Dropout(0.5, name=f"head_dropout_{units}")(x)
    return _predictions(x, classes, "softmax")


def flatten(features: KerasTensor, classes: int) -> KerasTensor:
    """Add a dense layer of 384 units over the whole feature map, which sees where a feature is, and the classifier.

    Args:
        features: Last feature map, ``(N, H, W, C)``, float; height and width known.
        classes: Number of classes.

    Returns:
        ``(N, classes)``, float32.

    Raises:
        ValueError: If height or width of the feature map is not known.
    """
    if None in features.shape[1:]:
        raise ValueError(
            f"expected a feature map of known height and width for the head 'flatten', got {tuple(features.shape)}; "
            "give both in input_shape, or use another head."
        )
    x = layers.Flatten(name="head_flatten")(features)  # (N, H * W * C)
    x = layers.Dense(384, activation="relu", name="head_dense_384")(x)
    return _predictions(x, classes, "softmax")


HEADS: Mapping[str, Head] = MappingProxyType({"linear": linear, "norm": norm, "mlp": mlp, "flatten": flatten})
"""Heads by name."""


def find_head(head: str | Head) -> Head:
    """Return a head by name; a function is returned as it is.

    Args:
        head: Name in `HEADS`, or a function.

    Returns:
        Function ``(features, classes) -> probabilities``.

    Raises:
        ValueError: If no head has that name.
    """
    if callable(head):
        return head
    if head not in HEADS:
        raise ValueError(f"expected head to be one of {', '.join(HEADS)}, or a function, got {head!r}.")
    return HEADS[head]


def _predictions(x: KerasTensor, classes: int, activation: Any) -> KerasTensor:
    # always float32: a bfloat16 softmax has three digits, too few for a loss
    return layers.Dense(classes, activation=activation, dtype="float32", name="predictions")(x)
