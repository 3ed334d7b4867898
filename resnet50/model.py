"""ResNet as a table of stages: He et al. 2015, arXiv:1512.03385, table 1; ResNet-50 is its column "50-layer"."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType

import keras
from keras import KerasTensor, layers

from resnet50 import heads
from resnet50._io.keras_settings import keras_defaults
from resnet50.blocks import conv_norm_relu
from resnet50.conventions import V1, Conventions
from resnet50.forms import Form, find_form


@dataclass(frozen=True)
class Stem:
    """The layers before the stages: a convolution to 64 channels and, optionally, a 3x3 max pooling of stride 2.

    Attributes:
        kernel_size: Height and width of the convolution's kernel in pixels.
        stride: Stride of the convolution.
        pool: Whether the max pooling follows.
    """

    kernel_size: int
    stride: int
    pool: bool


STEMS = {
    "imagenet": Stem(kernel_size=7, stride=2, pool=True),  # table 1: reduces height and width to a quarter
    "cifar": Stem(kernel_size=3, stride=1, pool=False),  # section 4.2, for images of 32 pixels: reduces nothing
}
"""Stems by name."""


@dataclass(frozen=True)
class Stage:
    """Blocks that work at one size: the first may change the shape of its input, the others do not.

    Attributes:
        name: Prefix of the names of its layers.
        blocks: Number of blocks.
        filters: Channels after each of a block's convolutions: three in a bottleneck, two in a basic block.
        stride: Stride of the first block; that of the others is 1.
    """

    name: str
    blocks: int
    filters: tuple[int, ...]
    stride: int


STAGES = (
    #     name   blocks          filters  stride     height and width of the output for images of 224, of 64
    Stage("conv2", 3, (64, 64, 256), 1),  #          56, 16
    Stage("conv3", 4, (128, 128, 512), 2),  #        28, 8
    Stage("conv4", 6, (256, 256, 1024), 2),  #       14, 4
    Stage("conv5", 3, (512, 512, 2048), 2),  #       7, 2
)
"""The stages of table 1, column "50-layer"."""


def _column(*blocks: int, convolutions: int) -> tuple[Stage, ...]:
    """Return a column that differs from `STAGES` in its blocks, and may have the first two convolutions of each."""
    return tuple(
        replace(stage, blocks=count, filters=stage.filters[:convolutions])
        for stage, count in zip(STAGES, blocks, strict=True)
    )


TABLE_1: Mapping[int, tuple[Stage, ...]] = MappingProxyType(
    {
        18: _column(2, 2, 2, 2, convolutions=2),
        34: _column(3, 4, 6, 3, convolutions=2),
        50: STAGES,
        101: _column(3, 4, 23, 3, convolutions=3),
        152: _column(3, 8, 36, 3, convolutions=3),
    }
)
"""All columns of table 1, by their number of layers. The output sizes of each stage are those of `STAGES`."""

MIN_IMAGE_SIZE = 32
"""Smallest height or width in pixels; the output of the last stage is then 1 x 1."""


def count_layers(stages: Sequence[Stage]) -> int:
    """Return the number after the name: the convolutions of stem and residuals, and the classifier; 50 in ResNet-50."""
    return 1 + sum(stage.blocks * len(stage.filters) for stage in stages) + 1


def features(
    x: KerasTensor,
    *,
    stem: str = "imagenet",
    conventions: Conventions = V1,
    stages: Sequence[Stage] = STAGES,
    form: str | Form = "residual",
) -> KerasTensor:
    """Add the stem and every stage, without a head.

    Args:
        x: Normalized images, ``(N, H, W, C)``, float.
        stem: Row of `STEMS`.
        conventions: `V1`, `V1_5` or a variant of them.
        stages: The table of stages.
        form: Row of `resnet50.forms.FORMS`, or a form.

    Returns:
        Last feature map: with the paper's stem and stages ``(N, ceil(H / 32), ceil(W / 32), 2048)``.

    Raises:
        ValueError: If no stem or form has that name.

    Source: He et al. 2015, arXiv:1512.03385, table 1.
    """
    row, form = find_stem(stem), find_form(form)
    x = conv_norm_relu(x, 64, row.kernel_size, row.stride, conventions, "conv1")
    if row.pool:
        x = layers.ZeroPadding2D(1, name="pool1_pad")(x)
        x = layers.MaxPooling2D(3, strides=2, name="pool1_pool")(x)
    blocks = [(stage, number) for stage in stages for number in range(1, stage.blocks + 1)]
    for depth, (stage, number) in enumerate(blocks, start=1):
        stride = stage.stride if number == 1 else 1
        here = replace(conventions, stochastic_depth=conventions.stochastic_depth * depth / len(blocks))
        x = form.block(x, stage.filters, stride=stride, conventions=here, name=f"{stage.name}_block{number}")
    return form.after(x, conventions, "post")


@keras_defaults()
def ResNet50(  # noqa: N802 - its name in Keras, torchvision and the course
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
    stages: Sequence[Stage] = STAGES,
    form: str | Form = "residual",
) -> keras.Model:
    """Build the bare network of the paper, compatible with ``keras.applications.ResNet50``.

    Keywords, layer names and their order are those of keras.applications, so that weights pass between the two by
    name. The input must be normalized as the weights expect; `build_resnet50` adds that normalization to the graph.

    Args:
        input_shape: ``(height, width, channels)``; a height or width of None allows any size. None means (224, 224, 3)
            with top and (None, None, 3) without.
        classes: Number of classes; not used without top.
        include_top: Whether to add average pooling and the classifier.
        weights: None for random weights; ``"imagenet"`` or another name in `resnet50.weights.REGISTRY`, downloaded if
            it is not cached; or a file that `resnet50.weights.read_weights` reads. Its top, if used, must fit.
        input_tensor: Keras tensor to build on instead of a new input.
        pooling: Without top: None returns the last feature map; ``"avg"`` and ``"max"`` pool it over the image.
        classifier_activation: Activation of the classifier; None returns logits.
        name: Name of the model.
        stem: Row of `STEMS`.
        conventions: `V1`, `V1_5` or a variant of them.
        stages: The table of stages.
        form: Row of `resnet50.forms.FORMS`, or a form.

    Returns:
        Model from float ``(N, H, W, C)`` to float ``(N, classes)`` or, without top, to
        ``(N, ceil(H / 32), ceil(W / 32), 2048)``, or ``(N, 2048)`` if pooled.

    Raises:
        ValueError: If an argument is not as described, or the weights do not fit.
        FileNotFoundError: If the weights file does not exist.

    Source: He et al. 2015, arXiv:1512.03385, table 1.
    """
    if pooling not in (None, "avg", "max"):
        raise ValueError(f"expected pooling to be None, 'avg' or 'max', got {pooling!r}.")
    file = None
    if weights is not None:
        from resnet50.weights.read import read_fitting
        from resnet50.weights.registry import at_depth
        from resnet50.weights.transfer import check_top, load_complete

        if weights == "imagenet":  # as in keras.applications, whatever the depth and the top
            weights = at_depth(weights if include_top else "imagenet-notop", count_layers(stages))
        check_top(weights, classes if include_top else None)  # before the network is built
        file = read_fitting(weights, count_layers(stages))
    if input_tensor is None:
        inputs = keras.Input(check_input_shape(input_shape or ((224, 224, 3) if include_top else (None, None, 3))))
    elif keras.utils.is_keras_tensor(input_tensor):
        inputs = input_tensor
    else:
        raise ValueError(
            f"expected input_tensor to be a Keras tensor, as keras.Input returns, got {type(input_tensor)}."
        )

    x = features(inputs, stem=stem, conventions=conventions, stages=stages, form=form)
    if include_top:
        x = heads.linear(x, check_classes(classes), classifier_activation)
    elif pooling is not None:
        layer = layers.GlobalAveragePooling2D if pooling == "avg" else layers.GlobalMaxPooling2D
        x = layer(name=f"{pooling}_pool")(x)
    sources = [inputs] if input_tensor is None else keras.utils.get_source_inputs(input_tensor)
    # With a list of one input, Keras would warn whenever the model is called on an image instead of a list.
    model = keras.Model(sources[0] if len(sources) == 1 else sources, x, name=name)
    if file is not None:
        load_complete(model, file)
    return model


ResNet18 = partial(ResNet50, name="resnet18", stages=TABLE_1[18])
"""Build ResNet-18: `ResNet50` with the column "18-layer" of table 1. Its features have 512 channels."""

ResNet34 = partial(ResNet50, name="resnet34", stages=TABLE_1[34])
"""Build ResNet-34: `ResNet50` with the column "34-layer" of table 1. Its features have 512 channels."""

ResNet101 = partial(ResNet50, name="resnet101", stages=TABLE_1[101])
"""Build ResNet-101, compatible with ``keras.applications.ResNet101``: `ResNet50` with the column "101-layer"."""

ResNet152 = partial(ResNet50, name="resnet152", stages=TABLE_1[152])
"""Build ResNet-152, compatible with ``keras.applications.ResNet152``: `ResNet50` with the column "152-layer"."""


def find_stem(stem: str) -> Stem:
    """Return a row of `STEMS`, or raise ValueError if no stem has that name."""
    if stem not in STEMS:
        raise ValueError(f"expected stem to be one of {', '.join(STEMS)}, got {stem!r}.")
    return STEMS[stem]


def check_input_shape(shape: tuple[int | None, int | None, int]) -> tuple[int | None, int | None, int]:
    """Return the shape of an input, (height, width, channels), or raise ValueError if there is no such image."""
    if len(shape) != 3:
        raise ValueError(f"expected input_shape to be (height, width, channels), got {shape!r}.")
    *image_size, channels = shape
    if any(length is not None and length < MIN_IMAGE_SIZE for length in image_size):
        raise ValueError(f"expected input_shape of at least {MIN_IMAGE_SIZE} x {MIN_IMAGE_SIZE} pixels, got {shape!r}.")
    if channels is None or channels < 1:
        raise ValueError(f"expected input_shape to give the number of channels, got {shape!r}.")
    return shape


def check_classes(classes: int) -> int:
    """Return a number of classes, or raise ValueError if it is not a positive integer."""
    if not isinstance(classes, int) or isinstance(classes, bool) or classes < 1:
        raise ValueError(f"expected classes to be a positive integer, got {classes!r}.")
    return classes
