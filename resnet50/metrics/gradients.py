"""The gradient of a number with respect to an array, for which Keras has no function outside training.

Each backend has its own function, so this module imports TensorFlow, JAX or PyTorch, whichever Keras runs on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np


def gradient(function: Callable[[Any], Any], x: np.ndarray) -> np.ndarray:
    """Differentiate a function of Keras layers and ``keras.ops`` at a point.

    Args:
        function: From a tensor of the backend, of the shape of ``x``, float32, to a tensor of one number.
        x: The point, float32, any shape.

    Returns:
        ``d function / d x``, float32, the shape of ``x``.

    Raises:
        ValueError: If Keras runs on a backend that cannot differentiate.
    """
    (slope,) = gradients(lambda tensors: function(tensors[0]), [x])
    return slope


def gradients(function: Callable[[Sequence[Any]], Any], points: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Differentiate a function of several tensors, as `gradient` does one of a single tensor.

    Args:
        function: From a list of tensors to a tensor of one number.
        points: Where, float32; any shapes.

    Returns:
        The derivative with respect to each, float32.

    Raises:
        ValueError: If Keras runs on a backend that cannot differentiate.
    """
    backend = keras.backend.backend()
    tensors = [keras.ops.convert_to_tensor(x, dtype="float32") for x in points]
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(tensors)
            value = function(tensors)
        slopes = tape.gradient(value, tensors)
    elif backend == "jax":
        import jax

        slopes = jax.grad(function)(tensors)
    elif backend == "torch":
        import torch

        with torch.enable_grad():
            tensors = [tensor.detach().requires_grad_() for tensor in tensors]
            slopes = torch.autograd.grad(function(tensors), tensors)
    else:
        raise ValueError(f"expected KERAS_BACKEND to be tensorflow, jax or torch for gradients, got {backend!r}.")
    return [keras.ops.convert_to_numpy(slope) for slope in slopes]
