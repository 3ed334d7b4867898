"""The two residual blocks: He et al. 2015, arXiv:1512.03385, figure 5, from top to bottom.

A block adds the residual F(x), which its convolutions learn, to its input x: ``relu(x + F(x))``. In ResNet-50 F is a
`bottleneck` of three convolutions (right), in ResNet-18 and 34 a `basic_block` of two (left).
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import KerasTensor, layers

from resnet50._io.arguments import explain_arguments
from resnet50.conventions import V1, Conventions

_EXAMPLE = "{}(x, [64, 64, 256], kernel_size=3, name={!r}), where kernel_size is the course's f"


def bottleneck(
    x: KerasTensor, filters: Sequence[int], kernel_size: int, stride: int, conventions: Conventions, name: str
) -> KerasTensor:
    """Return the residual F(x) of figure 5, right: reduce the channels (1x1), convolve (k x k), restore them (1x1).

    From ``(N, H, W, C)`` to ``(N, ceil(H / stride), ceil(W / stride), filters[2])``.
    """
    narrow, middle, wide = filters
    first, second = (1, stride) if conventions.stride_on_kernel else (stride, 1)
    x = conv_norm_relu(x, narrow, 1, first, conventions, f"{name}_1")
    x = conv_norm_relu(x, middle, kernel_size, second, conventions, f"{name}_2")
    return conv_norm(x, wide, 1, 1, conventions, f"{name}_3", gamma=conventions.last_gamma)


def basic_block(
    x: KerasTensor, filters: Sequence[int], kernel_size: int, stride: int, conventions: Conventions, name: str
) -> KerasTensor:
    """Return the residual F(x) of figure 5, left: convolve twice (k x k).

    From ``(N, H, W, C)`` to ``(N, ceil(H / stride), ceil(W / stride), filters[1])``.
    """
    x = conv_norm_relu(x, filters[0], kernel_size, stride, conventions, f"{name}_1")
    return conv_norm(x, filters[1], kernel_size, 1, conventions, f"{name}_2", gamma=conventions.last_gamma)


def residual(
    x: KerasTensor, filters: Sequence[int], kernel_size: int, stride: int, conventions: Conventions, name: str
) -> KerasTensor:
    """Return the residual F(x): a `bottleneck` for three numbers of channels, a `basic_block` for two."""
    path = bottleneck if len(filters) == 3 else basic_block
    return path(x, filters, kernel_size, stride, conventions, name)


@explain_arguments(_EXAMPLE.format("identity_block", "conv2_block2"))
def identity_block(
    x: KerasTensor, filters: Sequence[int], *, kernel_size: int = 3, conventions: Conventions = V1, name: str
) -> KerasTensor:
    """Compute ``relu(x + F(x))``: the residual, added to a feature map of the same shape.

    Args:
        x: Feature map, ``(N, H, W, filters[-1])``, float.
        filters: Channels after each of the residual's three convolutions (`bottleneck`), or two (`basic_block`).
        kernel_size: Height and width of the kernels that are not 1x1, in pixels; odd.
        conventions: `V1`, `V1_5` or a variant of them.
        name: Prefix of the layers' names, such as ``"conv2_block2"``.

    Returns:
        Feature map of the shape of ``x``, values >= 0.

    Raises:
        ValueError: If ``x`` does not have ``filters[-1]`` channels (Keras would broadcast one channel without a
            warning), or an argument is not as described.

    Source: He et al. 2015, arXiv:1512.03385, equation 1 and figure 5.
    """
    check_block(x, filters, kernel_size, name, keeps_channels=True)
    return add_relu(x, residual(x, filters, kernel_size, 1, conventions, name), conventions, name)


@explain_arguments(_EXAMPLE.format("convolutional_block", "conv3_block1"))
def convolutional_block(
    x: KerasTensor,
    filters: Sequence[int],
    *,
    kernel_size: int = 3,
    stride: int = 2,
    conventions: Conventions = V1,
    name: str,
) -> KerasTensor:
    """Compute ``relu(W x + F(x))``, where W, a strided 1x1 convolution, gives the shortcut the residual's shape.

    From a feature map ``(N, H, W, C)`` of any number of channels to ``(N, ceil(H / stride), ceil(W / stride),
    filters[-1])``; the other arguments and errors are those of `identity_block`.

    Source: He et al. 2015, arXiv:1512.03385, equation 2 and figure 5, shortcut option B.
    """
    check_block(x, filters, kernel_size, name, stride=stride)
    shortcut = conv_norm(x, filters[-1], 1, stride, conventions, f"{name}_0")
    return add_relu(shortcut, residual(x, filters, kernel_size, stride, conventions, name), conventions, name)


def residual_block(
    x: KerasTensor,
    filters: Sequence[int],
    *,
    kernel_size: int = 3,
    stride: int = 1,
    conventions: Conventions = V1,
    name: str,
) -> KerasTensor:
    """Return the identity block where x and F(x) have the same shape, and the convolutional block where they differ."""
    if keeps_shape(x, filters, stride):
        return identity_block(x, filters, kernel_size=kernel_size, conventions=conventions, name=name)
    return convolutional_block(x, filters, kernel_size=kernel_size, stride=stride, conventions=conventions, name=name)


def keeps_shape(x: KerasTensor, filters: Sequence[int], stride: int) -> bool:
    """Return whether a block's residual has the shape of its input."""
    return stride == 1 and x.shape[-1] == filters[-1]


def add_relu(shortcut: KerasTensor, residual: KerasTensor, conventions: Conventions, name: str) -> KerasTensor:
    """Compute ``relu(shortcut + residual)`` of two feature maps of one shape, ``(N, H, W, C)``."""
    return layers.Activation("relu", name=f"{name}_out")(add(shortcut, residual, conventions, name))


def add(shortcut: KerasTensor, residual: KerasTensor, conventions: Conventions, name: str) -> KerasTensor:
    """Add the residual; with `Conventions.stochastic_depth`, a training step leaves it out for a share p of the images.

    The others are divided by 1 - p, so that prediction needs no factor.

    Source: Huang et al. 2016, arXiv:1603.09382, equation 2; there one draw decides for all images of a step.
    """
    if conventions.stochastic_depth:
        drop = layers.Dropout(conventions.stochastic_depth, noise_shape=(None, 1, 1, 1), name=f"{name}_drop")
        residual = drop(residual)
    return layers.Add(name=f"{name}_add")([shortcut, residual])


def conv_norm_relu(
    x: KerasTensor, filters: int, kernel_size: int, stride: int, conventions: Conventions, name: str
) -> KerasTensor:
    """Compute ``relu(conv_norm(x))``."""
    x = conv_norm(x, filters, kernel_size, stride, conventions, name)
    return layers.Activation("relu", name=f"{name}_relu")(x)


def conv_norm(
    x: KerasTensor,
    filters: int,
    kernel_size: int,
    stride: int,
    conventions: Conventions,
    name: str,
    gamma: str = "ones",
) -> KerasTensor:
    """Convolve, then normalize over the batch (section 3.4): the pair of layers that the whole network is made of.

    From ``(N, H, W, C)`` to ``(N, ceil(H / stride), ceil(W / stride), filters)``; ``gamma`` initializes batch norm's
    scale. The layers are ``{name}_conv``, ``{name}_bn`` and, in front where a kernel strides, ``{name}_pad``.
    """
    return norm(conv(x, filters, kernel_size, stride, conventions, name), conventions, name, gamma)


def norm(x: KerasTensor, conventions: Conventions, name: str, gamma: str = "ones") -> KerasTensor:
    """Normalize over the batch: the layer ``{name}_bn``."""
    return layers.BatchNormalization(
        momentum=conventions.momentum, epsilon=conventions.epsilon, gamma_initializer=gamma, name=f"{name}_bn"
    )(x)


def conv(
    x: KerasTensor, filters: int, kernel_size: int, stride: int, conventions: Conventions, name: str
) -> KerasTensor:
    """Convolve: the layer ``{name}_conv`` and, in front where a kernel strides, ``{name}_pad``.

    Raises:
        ValueError: If Keras is set to channels first.
    """
    if keras.config.image_data_format() != "channels_last":
        raise ValueError(
            f"{name}: expected Keras to have channels last, got {keras.config.image_data_format()!r}; call "
            "keras.config.set_image_data_format('channels_last')."
        )
    if stride > 1 and kernel_size > 1:  # padding="same" would pad one side only and shift the image by a pixel
        x = layers.ZeroPadding2D(kernel_size // 2, name=f"{name}_pad")(x)
    return layers.Conv2D(
        filters,
        kernel_size,
        strides=stride,
        padding="same" if stride == 1 else "valid",
        use_bias=conventions.use_bias,
        kernel_initializer=conventions.kernel_initializer,
        name=f"{name}_conv",
    )(x)


def check_block(
    x: KerasTensor,
    filters: Sequence[int],
    kernel_size: int,
    name: str,
    *,
    stride: int = 1,
    keeps_channels: bool = False,
) -> None:
    """Raise ValueError, with the block's name, for the first argument of a block that is not as described."""
    if len(x.shape) != 4:
        raise ValueError(f"{name}: expected a feature map (batch, height, width, channels), got {tuple(x.shape)}.")
    counted = isinstance(filters, list | tuple) and len(filters) in (2, 3)
    if not counted or any(type(number) is not int or number < 1 for number in filters):
        raise ValueError(f"{name}: expected filters to be three positive integers, or two, got {filters!r}.")
    if kernel_size < 1 or kernel_size % 2 == 0:
        raise ValueError(f"{name}: expected kernel_size to be odd and positive, got {kernel_size!r}.")
    if stride < 1:
        raise ValueError(f"{name}: expected stride to be at least 1, got {stride!r}.")
    if keeps_channels and x.shape[-1] != filters[-1]:
        raise ValueError(
            f"{name}: expected {filters[-1]} channels in, as many as out, got {x.shape[-1]}; use convolutional_block "
            "to change the number of channels."
        )
