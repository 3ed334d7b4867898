"""A block of the reader's own, compared with the library's number by number."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from resnet50.blocks import convolutional_block, identity_block
from resnet50.conventions import V1

Block = Callable[..., keras.KerasTensor]
"""A function ``(x, filters, name=...)`` from a feature map to a feature map."""

_CHANNELS = {identity_block: 10, convolutional_block: 7}
"""Channels that enter each block; with these and `_FILTERS`, no two kernels of a block have the same shape."""

_FILTERS = (4, 6, 10)
_TOLERANCE = 1e-4  # of numbers of order one, in float32


@dataclass(frozen=True)
class BlockCheck:
    """What a comparison of two blocks has found.

    Attributes:
        numbers: Numbers of the outputs that were compared; 0 if it did not come to that.
        difference: Largest difference between two of them; NaN if none were compared.
        hint: What is wrong and what to look at; None if the block is right.
    """

    numbers: int
    difference: float
    hint: str | None

    @property
    def is_right(self) -> bool:
        """Whether the blocks compute the same."""
        return self.hint is None

    def __str__(self) -> str:
        if self.hint is not None:
            return f"not yet: {self.hint}"
        return f"right: {self.numbers:,} numbers agree, the largest difference is {self.difference:.1e}"


def check_own_block(own: Block, library: Block) -> BlockCheck:
    """Compare a block that someone has written with the library's, on the same random weights and feature maps.

    Weights are paired by the shapes of the kernels, so layers may have any names and come in any order. Batch norm is
    in inference mode, with random statistics. A convolution may leave out its bias, since batch norm follows.

    Args:
        own: Function ``(x, filters, name=...)`` from a feature map ``(N, H, W, C)`` and three numbers of channels to a
            feature map, made of Keras layers; it is not trained.
        library: `resnet50.identity_block` or `resnet50.convolutional_block`, in conventions v1.

    Returns:
        Whether they compute the same numbers and, if not, a hint.

    Raises:
        ValueError: If ``library`` is another block.
    """
    if library not in _CHANNELS:
        raise ValueError(f"expected library to be identity_block or convolutional_block, got {library!r}.")
    x = keras.Input((9, 8, _CHANNELS[library]))
    reference = keras.Model(x, library(x, _FILTERS, name="library"))
    try:
        y = own(x, _FILTERS, name="own")
        if not keras.utils.is_keras_tensor(y):
            return _refused(f"it returns {y!r} instead of a feature map")
        model = keras.Model(x, y)
    except Exception as error:  # whatever the reader's code raises
        return _refused(f"it raises {type(error).__name__}: {str(error).partition(chr(10))[0]}")
    if hint := _wrong_layers(model, reference):
        return _refused(hint)
    _fill(reference)
    _copy(reference, model)
    images = np.random.default_rng(1).standard_normal((2, *x.shape[1:])).astype(np.float32)
    computed, expected = (_outputs(each, images) for each in (model, reference))
    difference = float(np.abs(computed - expected).max())
    hint = None if difference < _TOLERANCE else _explain(model, computed, difference, reference, images)
    return BlockCheck(expected.size, difference, hint)


def _refused(hint: str) -> BlockCheck:
    return BlockCheck(0, float("nan"), hint)


def _wrong_layers(model: keras.Model, reference: keras.Model) -> str | None:
    """Return what is wrong with the layers of a block or with its shape."""
    own, expected = _convolutions(model), _convolutions(reference)
    for shape in expected:
        if shape not in own:
            found = ", ".join(map(str, own)) or "none"
            return f"no convolution has a kernel of shape {shape} (height, width, channels in and out); yours: {found}"
    if extra := [shape for shape in own if shape not in expected]:
        return f"a convolution too many, with a kernel of shape {extra[0]}"
    for shape, convolution in own.items():
        norm = _norm_behind(model, convolution)
        if norm is None:
            return f"no batch norm follows the convolution with the kernel {shape}"
        if norm.gamma is None or norm.beta is None:
            return f"the batch norm behind the kernel {shape} has no gamma or no beta"
        if norm.epsilon != V1.epsilon:
            return (
                f"the batch norm behind the kernel {shape} has epsilon {norm.epsilon:g}; the paper does not give it, "
                f"the library's is {V1.epsilon:g}"
            )
    if model.output_shape != reference.output_shape:
        return f"the output has the shape {model.output_shape}, not {reference.output_shape}; look at the strides"
    return None


def _convolutions(model: keras.Model) -> Mapping[tuple[int, ...], layers.Conv2D]:
    """Return the convolutions of a block by the shapes of their kernels."""
    return {tuple(layer.kernel.shape): layer for layer in model.layers if isinstance(layer, layers.Conv2D)}


def _norm_behind(model: keras.Model, convolution: layers.Conv2D) -> Any:
    """Return the batch norm that follows a convolution, or None."""
    norms = (layer for layer in model.layers if isinstance(layer, layers.BatchNormalization))
    return next((norm for norm in norms if norm.input is convolution.output), None)


def _fill(model: keras.Model) -> None:
    """Draw weights under which numbers stay of order one; biases stay 0."""
    rng = np.random.default_rng(0)
    for shape, convolution in _convolutions(model).items():
        convolution.kernel.assign(rng.normal(0, np.prod(shape[:-1]) ** -0.5, shape))
        limits = [(0.5, 1.5), (-0.5, 0.5), (-0.5, 0.5), (0.5, 1.5)]  # gamma, beta, mean, variance
        if norm := _norm_behind(model, convolution):
            norm.set_weights([rng.uniform(low, high, shape[-1]) for low, high in limits])


def _copy(source: keras.Model, model: keras.Model) -> None:
    """Set the weights of a block to those of another one with the same kernels."""
    own = _convolutions(model)
    for shape, convolution in _convolutions(source).items():
        own[shape].kernel.assign(convolution.kernel)
        target, norm = _norm_behind(model, own[shape]), _norm_behind(source, convolution)
        if target and norm:
            target.set_weights(norm.get_weights())


def _outputs(model: keras.Model, images: np.ndarray) -> np.ndarray:
    return ops.convert_to_numpy(model(images, training=False))


def _explain(
    model: keras.Model, computed: np.ndarray, difference: float, reference: keras.Model, images: np.ndarray
) -> str:
    """Return which well-known mistake gives these numbers."""
    if any(shape[0] > 1 and layer.strides != (1, 1) for shape, layer in _convolutions(model).items()):
        return "it strides on the 3x3 convolution, which is v1.5; v1 strides on the first 1x1"
    (shortcut, residual) = reference.get_layer("library_add").input
    s, f = (_outputs(keras.Model(reference.input, each), images) for each in (shortcut, residual))
    mistakes = {
        "it computes F(x) alone; add the shortcut, then apply ReLU": f,
        "it computes relu(F(x)); add the shortcut before the ReLU": np.maximum(f, 0),
        "it computes the sum without a ReLU behind it": s + f,
        "it applies ReLU before the addition; it belongs behind it": s + np.maximum(f, 0),
        "it applies ReLU before the addition and behind it; only the second one belongs there": np.maximum(
            s + np.maximum(f, 0), 0
        ),
    }
    for mistake, numbers in mistakes.items():
        if np.abs(computed - numbers).max() < _TOLERANCE:
            return mistake
    return (
        f"the numbers differ by up to {difference:.2g}; look at the ReLUs: one behind the first batch norm and one "
        "behind the second, none behind the third or on the shortcut"
    )
