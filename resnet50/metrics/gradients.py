"""The gradient of a number with respect to an array, for which Keras has no function outside training.

Each backend has its own function, so this module imports TensorFlow, JAX or PyTorch, whichever Keras runs on.
"""

from __future__ import annotations

from collections.abc import Callable
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
    backend = keras.backend.backend()
    tensor = keras.ops.convert_to_tensor(x, dtype="float32")
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(tensor)
            value = function(tensor)
        slope = tape.gradient(value, tensor)
    elif backend == "jax":
        import jax

        slope = jax.grad(function)(tensor)
    elif backend == "torch":
        import torch

        with torch.enable_grad():
            tensor = tensor.detach().requires_grad_()
            (slope,) = torch.autograd.grad(function(tensor), tensor)
    else:
        raise ValueError(f"expected KERAS_BACKEND to be tensorflow, jax or torch for gradients, got {backend!r}.")
    return keras.ops.convert_to_numpy(slope)
