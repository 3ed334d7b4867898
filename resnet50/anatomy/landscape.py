"""How trainable a network is: the gradient that reaches each layer, and the loss around its weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from resnet50._io.fetch import Progress
from resnet50.data.dataset import Dataset
from resnet50.inference.batching import forward_array
from resnet50.metrics.calibration import mean_loss
from resnet50.metrics.gradients import gradients

_BATCH = 64


@dataclass(frozen=True)
class GradientNorm:
    """The gradient of the loss with respect to the kernel of a convolution.

    Attributes:
        layer: Name of the layer.
        norm: Euclidean norm of the gradient.
        relative: That norm divided by the kernel's own: the share by which a step of rate 1 would change it.
    """

    layer: str
    norm: float
    relative: float


@dataclass(frozen=True, eq=False)
class LossSlice:
    """The loss on a line or a plane through the weights of a network.

    Attributes:
        steps: Distances from the weights along each direction, ``(k,)``; 1 is as far as the weights are from 0.
        losses: Mean cross-entropy in nats, ``(k,)`` on a line, ``(k, k)`` on a plane, the first direction down.
    """

    steps: np.ndarray
    losses: np.ndarray


def gradient_norms(model: keras.Model, images: np.ndarray, labels: np.ndarray) -> tuple[GradientNorm, ...]:
    """Measure the gradient that reaches each convolution from the loss of one batch, as in a step of training.

    Batch norm uses the statistics of the batch. The model is not changed.

    Args:
        model: Functional classifier with a softmax, on any backend but NumPy.
        images: Raw RGB ``(n, height, width, 3)``, 0..255; at least two, for batch norm.
        labels: Their classes, int ``(n,)``.

    Returns:
        A row for each convolution, in the order of the layers: shortcuts as well.

    Raises:
        ValueError: If there are fewer than two images or not one label for each, or Keras runs on a backend without
            gradients.

    Source: Glorot and Bengio 2010, AISTATS 9, section 4.2.3; for residual networks, Balduzzi et al. 2017,
    arXiv:1702.08591.
    """
    if len(images) < 2 or labels.shape != (len(images),):
        raise ValueError(
            f"expected at least two images with a label for each, got {len(images)} and labels {labels.shape}."
        )
    convolutions = [layer for layer in model.layers if isinstance(layer, layers.Conv2D)]
    kernels = {id(layer.kernel): place for place, layer in enumerate(convolutions)}
    places = [kernels.get(id(variable)) for variable in model.trainable_variables]
    fixed = [variable.value for variable in model.non_trainable_variables]
    targets = ops.one_hot(labels, model.output_shape[-1])

    def loss(values: Sequence[Any]) -> Any:
        weights = [
            variable.value if place is None else values[place]
            for variable, place in zip(model.trainable_variables, places, strict=True)
        ]
        predicted, _ = model.stateless_call(weights, fixed, ops.cast(images, "float32"), training=True)
        return ops.mean(keras.losses.categorical_crossentropy(targets, predicted))

    values = [ops.convert_to_numpy(layer.kernel) for layer in convolutions]
    norms = [float(np.linalg.norm(each)) for each in gradients(loss, values)]
    own = [float(np.linalg.norm(each)) for each in values]
    return tuple(
        GradientNorm(layer.name, norm, norm / (size or 1.0))
        for layer, norm, size in zip(convolutions, norms, own, strict=True)
    )


def loss_slice(
    model: keras.Model,
    dataset: Dataset,
    *,
    directions: int = 1,
    reach: float = 1.0,
    points: int = 21,
    seed: int = 0,
    progress: Progress | None = None,
) -> LossSlice:
    """Score a network at weights around its own, along random directions.

    ``L(a) = loss(w + a d)``, or ``L(a, b) = loss(w + a d + b e)``. A direction is drawn from a normal distribution, and
    each of its filters is scaled to the norm of the network's own filter (filter normalization), so that networks with
    larger weights do not look flatter. Biases and batch norm stay as they are. The model is not changed.

    Args:
        model: Functional classifier; batch norm is in inference mode.
        dataset: Labeled images of its size.
        directions: 1 for a line, 2 for a plane.
        reach: Largest distance from the weights, above 0.
        points: Number of steps along each direction, odd, so that one of them is the network itself; at least 3.
        seed: Determines the directions.
        progress: Called with the number of points done and the total.

    Raises:
        ValueError: If a number is impossible.

    Source: Li et al. 2018, arXiv:1712.09913, section 4.
    """
    if directions not in (1, 2) or points < 3 or points % 2 == 0 or not reach > 0:
        raise ValueError(
            "expected 1 or 2 directions, an odd number of points of at least 3 and a reach above 0, got "
            f"{directions}, {points} and {reach:g}."
        )
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    kernels = [layer.kernel for layer in copy.layers if isinstance(layer, layers.Conv2D | layers.Dense)]
    values = [ops.convert_to_numpy(kernel) for kernel in kernels]
    rng = np.random.default_rng(seed)
    drawn = [[_direction(value, rng) for value in values] for _ in range(directions)]
    steps = np.linspace(-reach, reach, points)
    losses = np.empty((points,) * directions)
    for done, place in enumerate(np.ndindex(losses.shape), start=1):
        for k, (kernel, value) in enumerate(zip(kernels, values, strict=True)):
            kernel.assign(value + sum(steps[i] * each[k] for i, each in zip(place, drawn, strict=True)))
        probabilities = forward_array(copy, dataset.images, batch_size=_BATCH)
        losses[place] = mean_loss(probabilities, dataset.labels)
        if progress:
            progress(done, losses.size)
    return LossSlice(steps, losses)


def _direction(kernel: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw a direction whose filters, along the last axis, have the norms of a kernel's."""
    drawn = rng.standard_normal(kernel.shape).astype(np.float32)
    axes = tuple(range(kernel.ndim - 1))
    norms = [np.sqrt(np.square(each).sum(axis=axes)) for each in (kernel, drawn)]
    return drawn * (norms[0] / np.maximum(norms[1], 1e-12))
