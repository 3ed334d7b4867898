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
from resnet50.weights.normalization import NORMALIZATIONS, UNKNOWN, normalize
from resnet50.weights.read import WeightsFile, read_weights
from resnet50.weights.sources import SOURCES
from resnet50.weights.transfer import load_weights


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
        weights: None for a fresh network; ``"imagenet"`` or another name in `resnet50.weights.SOURCES`, fetched if it
            is not in the cache; or a file that `resnet50.weights.read_weights` can read. With top, its classes must
            be the network's.
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
    if include_top and isinstance(weights, str) and weights in SOURCES and SOURCES[weights].classes != classes:
        raise ValueError(
            f"weights={weights!r} come with a top for {SOURCES[weights].classes or 'no'} classes, the network has "
            f"{classes!r}; include_top=False takes them without it, build_resnet50 with a new one."
        )
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
        # as keras.applications does: what has no top need not be fetched with one
        report = load_weights(model, "imagenet-notop" if weights == "imagenet" and not include_top else weights)
        for layer, reason in report.kept.items():
            raise ValueError(f"{weights}: does not fit the top of this network ({layer}: {reason}).")
    return model


def build_resnet50(
    classes: int = 6,
    *,
    input_shape: tuple[int | None, int | None, int] = (64, 64, 3),
    weights: str | os.PathLike[str] | WeightsFile | None = None,
    normalization: str | None = None,
    head: str | heads.Head = "linear",
    stem: str = "imagenet",
    conventions: Conventions | None = None,
    stages: Sequence[Stage] = STAGES,
    adapt_stem: bool = False,
) -> keras.Model:
    """Build a complete classifier: raw pictures in, class probabilities out, as one flat functional model.

    Pretrained weights bring their conventions and normalisation with them. A head that does not fit them, as for other
    classes, starts afresh; load them with `resnet50.weights.load_weights` to get a report of what came.

    Args:
        classes: Number of classes, at least 2.
        input_shape: ``(height, width, 3)``, each side at least 32 pixels, or None for any.
        weights: None to train from scratch; a name in `resnet50.weights.SOURCES`, such as ``"imagenet"`` or
            ``"timm/a1_in1k"``, fetched if it is not in the cache; or a file that `resnet50.weights.read_weights` can
            read, or what it returned.
        normalization: Row of `resnet50.weights.NORMALIZATIONS`: what the weights expect pixels to be turned into. None
            for what belongs to the weights, and ``"symmetric"`` from scratch.
        head: Row of `resnet50.heads.HEADS`, or a function ``(features, classes) -> probabilities``.
        stem: Row of `STEMS`.
        conventions: None for those of the weights, and for `V1` from scratch, in both cases made to train on
            (`Conventions.from_scratch`).
        stages: The table of stages. A smaller one makes a smaller network, for tests and teaching.
        adapt_stem: Whether pictures may have one channel, or more than three. The first kernel of weights for RGB is
            then summed or repeated (`resnet50.weights.transfer.adapt_kernel`), the normalisation averaged.

    Returns:
        Model from RGB ``(batch, height, width, 3)``, 0..255 (uint8 or float), to float32 ``(batch, classes)``,
        0..1, each row summing to 1.

    Raises:
        ValueError: If an argument is not as described, or the weights do not fit.
        FileNotFoundError: If there is no such file of weights.
    """
    if _checked_classes(classes) < 2:
        raise ValueError(f"classes must be at least 2 to tell anything apart, got {classes}.")
    if len(input_shape) != 3 or (input_shape[-1] != 3 and not adapt_stem):
        raise ValueError(
            f"input_shape must be (height, width, 3) for RGB pictures, got {input_shape!r}; "
            "adapt_stem=True allows other channels."
        )
    inputs = keras.Input(_checked_shape(input_shape), name="image")
    file = None if weights is None else read_weights(weights)
    if normalization is None:
        normalization = "symmetric" if file is None else file.normalization
        if normalization == UNKNOWN:
            raise ValueError(
                f"{weights}: does not tell how its network normalises pixels; say it by normalization, one of "
                f"{', '.join(NORMALIZATIONS)}."
            )
    if conventions is None:
        conventions = V1.from_scratch() if file is None else file.conventions
    x = normalize(inputs, normalization)
    x = resnet_features(x, stem=stem, conventions=conventions, stages=stages)
    outputs = heads.find_head(head)(x, classes)
    model = keras.Model(inputs, outputs, name="resnet50")
    if file is not None:
        load_weights(model, file, adapt_stem=adapt_stem)
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
