"""ResNet-50 as a table of stages, the bare network and the complete classifier.

Read this file beside table 1 of He et al. 2015, arXiv:1512.03385 (column "50-layer").
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import keras
from keras import KerasTensor, layers

from resnet50 import heads
from resnet50.blocks import V1, Conventions, conv_norm_relu, convolutional_block, identity_block
from resnet50.weights import load_weights, normalize


@dataclass(frozen=True)
class Stem:
    """What stands before the stages: one convolution to 64 channels, then perhaps a 3x3 maximum of stride 2."""

    kernel_size: int
    stride: int
    pool: bool


STEMS = {
    #                        kernel  stride  pool
    "imagenet": Stem(kernel_size=7, stride=2, pool=True),  # the paper's: a quarter of the input's side remains
    "small": Stem(kernel_size=3, stride=1, pool=False),  # for pictures of 32 pixels: the whole side remains
}


@dataclass(frozen=True)
class Stage:
    """Blocks that work at one size: the first is convolutional, the others are identity blocks."""

    name: str
    blocks: int
    filters: tuple[int, int, int]
    stride: int


STAGES = (
    #     name   blocks          filters  stride     side at 224, at 64
    Stage("conv2", 3, (64, 64, 256), 1),  #          56           16
    Stage("conv3", 4, (128, 128, 512), 2),  #        28            8
    Stage("conv4", 6, (256, 256, 1024), 2),  #       14            4
    Stage("conv5", 3, (512, 512, 2048), 2),  #        7            2
)

MIN_SIDE = 32
"""Smallest height or width in pixels; the last stage of the paper's network then sees one pixel."""


def ResNet50(  # noqa: N802 - the name by which Keras, torchvision and the course call it
    input_shape: tuple[int | None, int | None, int] | None = (64, 64, 3),
    classes: int = 6,
    *,
    include_top: bool = True,
    weights: str | os.PathLike[str] | None = None,
    input_tensor: KerasTensor | None = None,
    pooling: str | None = None,
    classifier_activation: str | None = "softmax",
    name: str = "resnet50",
    stem: str = "imagenet",
    conventions: Conventions = V1,
) -> keras.Model:
    """Build the bare network of the paper, compatible with ``keras.applications.ResNet50``.

    Layer names, their order and every keyword are those of keras.applications, so weights pass between the two by
    name. The input is what the weights were trained on; `build_resnet50` adds that normalisation to the graph.

    Args:
        input_shape: ``(height, width, channels)``; a side of None takes any size. None means (224, 224, 3) with top
            and (None, None, 3) without.
        classes: Number of classes; without top it is not used.
        include_top: Whether the average pooling and the classifier are part of the network.
        weights: None for a fresh network, or a file of Keras weights (``.h5``, ``.weights.h5`` or ``.keras``).
        input_tensor: Keras tensor to build on instead of a new input.
        pooling: Without top: None gives the last feature map, ``"avg"`` and ``"max"`` pool it over the picture.
        classifier_activation: Activation of the classifier; None gives logits.
        name: Name of the model.
        stem: Row of `STEMS`.
        conventions: `V1` or `V1_5`, or one of them changed by ``dataclasses.replace``.

    Returns:
        Model from float ``(batch, height, width, channels)`` to float ``(batch, classes)``, or, without top, to
        ``(batch, ceil(height / 32), ceil(width / 32), 2048)``, or ``(batch, 2048)`` if pooled.

    Raises:
        ValueError: If an argument is not as described, or the weights do not fit.
        FileNotFoundError: If there is no such file of weights.

    Source: He et al. 2015, arXiv:1512.03385, table 1.
    """
    if pooling not in (None, "avg", "max"):
        raise ValueError(f"pooling must be None, 'avg' or 'max', got {pooling!r}.")
    if input_tensor is None:
        if input_shape is None:
            input_shape = (224, 224, 3) if include_top else (None, None, 3)
        inputs = keras.Input(_checked_shape(input_shape))
    elif keras.utils.is_keras_tensor(input_tensor):
        inputs = input_tensor
    else:
        raise ValueError(f"input_tensor must be a Keras tensor, such as keras.Input gives, got {type(input_tensor)}.")

    x = resnet_features(inputs, stem=stem, conventions=conventions)
    if include_top:
        x = heads.linear(x, _checked_classes(classes), classifier_activation)
    elif pooling == "avg":
        x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
    elif pooling == "max":
        x = layers.GlobalMaxPooling2D(name="max_pool")(x)

    sources = [inputs] if input_tensor is None else keras.utils.get_source_inputs(input_tensor)
    # A list of one would make Keras warn whenever the model is called on a picture and not on a list of one.
    model = keras.Model(sources[0] if len(sources) == 1 else sources, x, name=name)
    if weights is not None:
        load_weights(model, weights)
    return model


def build_resnet50(
    classes: int = 6,
    *,
    input_shape: tuple[int | None, int | None, int] = (64, 64, 3),
    weights: str | os.PathLike[str] | None = None,
    normalization: str = "symmetric",
    head: str | heads.Head = "linear",
    stem: str = "imagenet",
    conventions: Conventions | None = None,
    stages: Sequence[Stage] = STAGES,
) -> keras.Model:
    """Build a complete classifier: raw pictures in, class probabilities out, as one flat functional model.

    Args:
        classes: Number of classes, at least 2.
        input_shape: ``(height, width, 3)``, each side at least 32 pixels, or None for any.
        weights: None to train from scratch, or a file of Keras weights for this very network.
        normalization: Row of `resnet50.weights.NORMALIZATIONS`: what the weights expect pixels to be turned into.
        head: Row of `resnet50.heads.HEADS`, or a function ``(features, classes) -> probabilities``.
        stem: Row of `STEMS`.
        conventions: None for `V1` initialised to train from scratch (`Conventions.from_scratch`).
        stages: The table of stages. A smaller one makes a smaller network, for tests and teaching.

    Returns:
        Model from RGB ``(batch, height, width, 3)``, 0..255 (uint8 or float), to float32 ``(batch, classes)``,
        0..1, each row summing to 1.

    Raises:
        ValueError: If an argument is not as described, or the weights do not fit.
        FileNotFoundError: If there is no such file of weights.
    """
    if _checked_classes(classes) < 2:
        raise ValueError(f"classes must be at least 2 to tell anything apart, got {classes}.")
    if len(input_shape) != 3 or input_shape[-1] != 3:
        raise ValueError(f"input_shape must be (height, width, 3) for RGB pictures, got {input_shape!r}.")
    inputs = keras.Input(_checked_shape(input_shape), name="image")
    x = normalize(inputs, normalization)
    x = resnet_features(x, stem=stem, conventions=conventions or V1.from_scratch(), stages=stages)
    outputs = heads.find_head(head)(x, classes)
    model = keras.Model(inputs, outputs, name="resnet50")
    if weights is not None:
        load_weights(model, weights)
    return model


def resnet_features(
    x: KerasTensor, *, stem: str = "imagenet", conventions: Conventions = V1, stages: Sequence[Stage] = STAGES
) -> KerasTensor:
    """Add the stem and every stage, without a head.

    Args:
        x: Normalised pictures, ``(batch, height, width, channels)``, float.
        stem: Row of `STEMS`.
        conventions: What the paper leaves open.
        stages: The table of stages.

    Returns:
        Last feature map; with the paper's stem and stages
        ``(batch, ceil(height / 32), ceil(width / 32), 2048)``.

    Raises:
        ValueError: If no stem has that name.

    Source: He et al. 2015, arXiv:1512.03385, table 1.
    """
    if stem not in STEMS:
        raise ValueError(f"stem must be one of {', '.join(STEMS)}, got {stem!r}.")
    first = STEMS[stem]
    x = conv_norm_relu(x, 64, first.kernel_size, stride=first.stride, conventions=conventions, name="conv1")
    if first.pool:
        x = layers.ZeroPadding2D(1, name="pool1_pad")(x)
        x = layers.MaxPooling2D(3, strides=2, name="pool1_pool")(x)
    for stage in stages:
        x = convolutional_block(
            x, stage.filters, stride=stage.stride, conventions=conventions, name=f"{stage.name}_block1"
        )
        for block in range(2, stage.blocks + 1):
            x = identity_block(x, stage.filters, conventions=conventions, name=f"{stage.name}_block{block}")
    return x


def _checked_shape(shape: tuple[int | None, int | None, int]) -> tuple[int | None, int | None, int]:
    if len(shape) != 3:
        raise ValueError(f"input_shape must be (height, width, channels), got {shape!r}.")
    *sides, channels = shape
    if any(side is not None and side < MIN_SIDE for side in sides):
        raise ValueError(f"input_shape must be at least {MIN_SIDE} x {MIN_SIDE} pixels, got {shape!r}.")
    if channels is None or channels < 1:
        raise ValueError(f"input_shape must name the number of channels, got {shape!r}.")
    return shape


def _checked_classes(classes: int) -> int:
    if not isinstance(classes, int) or isinstance(classes, bool) or classes < 1:
        raise ValueError(f"classes must be a positive integer, got {classes!r}.")
    return classes
