"""The two residual blocks of ResNet-50, one equation each.

Read this file beside figure 5 (right) of He et al. 2015, "Deep Residual Learning for Image Recognition",
arXiv:1512.03385. A block adds what its three convolutions have learned to what it was given:
``relu(shortcut + residual)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import keras
from keras import KerasTensor, layers


@dataclass(frozen=True)
class Conventions:
    """What the paper leaves open and published ResNet-50 networks settle in different ways.

    Attributes:
        name: Name under which files and messages speak of these conventions.
        use_bias: Whether convolutions have a bias (batch norm, which follows each, makes it redundant).
        epsilon: Added to the variance in every batch norm.
        stride_on_kernel: Whether a convolutional block strides on its k x k convolution (v1.5) or its first 1x1 (v1).
        momentum: Share of the old moving statistics that a training step keeps, 0..1.
        last_gamma: Initialiser of the scale in each block's last batch norm. ``"zeros"`` makes every residual zero at
            the start, so that a fresh block passes its shortcut on (Goyal et al. 2017, arXiv:1706.02677, section 5.1).
        kernel_initializer: Initialiser of every convolution's kernel.
    """

    name: str
    use_bias: bool
    epsilon: float
    stride_on_kernel: bool
    momentum: float
    last_gamma: str = "ones"
    kernel_initializer: str = "glorot_uniform"

    def from_scratch(self) -> Conventions:
        """Return the same network, initialised so that it trains well from nothing on a few thousand pictures.

        Moving statistics follow within some ten steps, every residual starts at zero, kernels start as in He et al.
        2015, arXiv:1502.01852. None of this changes what a trained network computes.
        """
        return replace(self, momentum=0.9, last_gamma="zeros", kernel_initializer="he_normal")


V1 = Conventions(name="v1", use_bias=True, epsilon=1.001e-5, stride_on_kernel=False, momentum=0.99)
"""The network of the paper as ``keras.applications.ResNet50`` builds it."""

V1_5 = Conventions(
    name="v1.5", use_bias=False, epsilon=1e-5, stride_on_kernel=True, momentum=0.9, kernel_initializer="he_normal"
)
"""The network as torchvision, timm and Hugging Face build it."""

CONVENTIONS = {conventions.name: conventions for conventions in (V1, V1_5)}


def identity_block(
    x: KerasTensor, filters: Sequence[int], *, kernel_size: int = 3, conventions: Conventions = V1, name: str
) -> KerasTensor:
    """Add a bottleneck's residual to a feature map of the same shape.

    Computes ``relu(x + F(x))``: F narrows the channels (1x1), looks at the neighbours (k x k) and widens again (1x1).

    Args:
        x: Feature map, ``(batch, height, width, filters[2])``, float.
        filters: Channels that leave each of the three convolutions.
        kernel_size: Side of the middle convolution's kernel in pixels; odd.
        conventions: What the paper leaves open.
        name: Prefix of every layer's name, such as ``"conv2_block2"``.

    Returns:
        Feature map with the shape of ``x``; no value is negative.

    Raises:
        ValueError: If ``x`` does not have ``filters[2]`` channels (Keras would broadcast a one-channel ``x`` silently),
            or an argument is not as described.

    Source: He et al. 2015, arXiv:1512.03385, equation 1 and figure 5 (right).
    """
    _check_block(x, filters, kernel_size, 1, name)
    if x.shape[-1] != filters[2]:
        raise ValueError(
            f"{name}: an identity block needs as many channels in as out, got {x.shape[-1]} in and {filters[2]} out; "
            "use convolutional_block to change the number of channels."
        )
    residual = _bottleneck(x, filters, kernel_size=kernel_size, stride=1, conventions=conventions, name=name)
    return _relu(layers.Add(name=f"{name}_add")([x, residual]), name=f"{name}_out")


def convolutional_block(
    x: KerasTensor,
    filters: Sequence[int],
    *,
    kernel_size: int = 3,
    stride: int = 2,
    conventions: Conventions = V1,
    name: str,
) -> KerasTensor:
    """Add a bottleneck's residual to a projection of the feature map, changing its size and channels.

    Computes ``relu(W x + F(x))``: W is a strided 1x1 convolution with batch norm that gives the shortcut F's shape.

    Args:
        x: Feature map, ``(batch, height, width, channels)``, float.
        filters: Channels that leave each of the residual's three convolutions.
        kernel_size: Side of the middle convolution's kernel in pixels; odd.
        stride: Step in pixels; height and width are divided by it and rounded up.
        conventions: What the paper leaves open.
        name: Prefix of every layer's name, such as ``"conv3_block1"``.

    Returns:
        Feature map, ``(batch, ceil(height / stride), ceil(width / stride), filters[2])``; no value is negative.

    Raises:
        ValueError: If an argument is not as described.

    Source: He et al. 2015, arXiv:1512.03385, equation 2 and figure 5 (right), shortcut option B.
    """
    _check_block(x, filters, kernel_size, stride, name)
    shortcut = conv_norm(x, filters[2], 1, stride=stride, conventions=conventions, name=f"{name}_0")
    residual = _bottleneck(x, filters, kernel_size=kernel_size, stride=stride, conventions=conventions, name=name)
    return _relu(layers.Add(name=f"{name}_add")([shortcut, residual]), name=f"{name}_out")


def conv_norm(
    x: KerasTensor,
    filters: int,
    kernel_size: int,
    *,
    stride: int = 1,
    gamma_initializer: str = "ones",
    conventions: Conventions = V1,
    name: str,
) -> KerasTensor:
    """Convolve and normalise; the pair that the whole network is made of.

    Args:
        x: Feature map, ``(batch, height, width, channels)``, float.
        filters: Channels that leave the convolution.
        kernel_size: Side of the kernel in pixels; odd.
        stride: Step in pixels.
        gamma_initializer: Initialiser of the batch norm's scale.
        conventions: What the paper leaves open.
        name: Prefix of the layers ``{name}_pad`` (only where a kernel strides), ``{name}_conv`` and ``{name}_bn``.

    Returns:
        Feature map, ``(batch, ceil(height / stride), ceil(width / stride), filters)``.

    Source: He et al. 2015, arXiv:1512.03385, section 3.4 (batch norm right after each convolution).
    """
    if keras.config.image_data_format() != "channels_last":
        raise ValueError(
            f"{name}: needs feature maps with channels last, but Keras is set to "
            f"{keras.config.image_data_format()!r}; call keras.config.set_image_data_format('channels_last')."
        )
    padding = "same" if stride == 1 else "valid"
    if stride > 1 and kernel_size > 1:
        # "same" would pad a strided convolution on one side only and shift the picture by a pixel.
        x = layers.ZeroPadding2D(kernel_size // 2, name=f"{name}_pad")(x)
    x = layers.Conv2D(
        filters,
        kernel_size,
        strides=stride,
        padding=padding,
        use_bias=conventions.use_bias,
        kernel_initializer=conventions.kernel_initializer,
        name=f"{name}_conv",
    )(x)
    return layers.BatchNormalization(
        momentum=conventions.momentum,
        epsilon=conventions.epsilon,
        gamma_initializer=gamma_initializer,
        name=f"{name}_bn",
    )(x)


def conv_norm_relu(
    x: KerasTensor, filters: int, kernel_size: int, *, stride: int = 1, conventions: Conventions = V1, name: str
) -> KerasTensor:
    """Convolve, normalise and rectify: `conv_norm`, which explains the arguments, then ``max(x, 0)``."""
    x = conv_norm(x, filters, kernel_size, stride=stride, conventions=conventions, name=name)
    return _relu(x, name=f"{name}_relu")


def _bottleneck(
    x: KerasTensor, filters: Sequence[int], *, kernel_size: int, stride: int, conventions: Conventions, name: str
) -> KerasTensor:
    """Return the residual F(x) of both blocks: narrow (1x1), look around (k x k), widen (1x1)."""
    narrow, middle, wide = filters
    first, second = (1, stride) if conventions.stride_on_kernel else (stride, 1)
    x = conv_norm_relu(x, narrow, 1, stride=first, conventions=conventions, name=f"{name}_1")
    x = conv_norm_relu(x, middle, kernel_size, stride=second, conventions=conventions, name=f"{name}_2")
    return conv_norm(x, wide, 1, gamma_initializer=conventions.last_gamma, conventions=conventions, name=f"{name}_3")


def _relu(x: KerasTensor, *, name: str) -> KerasTensor:
    return layers.Activation("relu", name=name)(x)


def _check_block(x: KerasTensor, filters: Sequence[int], kernel_size: int, stride: int, name: str) -> None:
    if len(x.shape) != 4:
        raise ValueError(f"{name}: needs a feature map (batch, height, width, channels), got shape {tuple(x.shape)}.")
    if len(filters) != 3 or any(not isinstance(f, int) or f < 1 for f in filters):
        raise ValueError(f"{name}: filters must be three positive integers, got {filters!r}.")
    if kernel_size < 1 or kernel_size % 2 == 0:
        raise ValueError(f"{name}: kernel_size must be odd and positive, so that it has a centre, got {kernel_size!r}.")
    if stride < 1:
        raise ValueError(f"{name}: stride must be at least 1, got {stride!r}.")
