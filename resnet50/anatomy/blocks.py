"""What the residual blocks of a trained network do: how much they add, and what the network loses without them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
from keras import layers, ops

from resnet50._io.fetch import Progress
from resnet50.data.dataset import Dataset
from resnet50.data.lazy_images import LazyImages
from resnet50.inference.batching import forward_array
from resnet50.metrics.scores import accuracy_interval
from resnet50.plots.diagrams.network import Block, read_network

BATCH = 32
"""Images in one forward pass."""


@dataclass(frozen=True)
class Contribution:
    """How much a block adds to what comes in.

    Attributes:
        block: Name of the block, such as ``"conv3_block2"``.
        share: ``|F(x)| / |x|``: the norm of the residual divided by that of the shortcut's output, the mean over
            images.
        spread: Standard deviation of that ratio over the images.
        residual: ``|F(x)|``, the mean over images.
        shortcut: ``|x|`` or ``|W x|``, the mean over images.
    """

    block: str
    share: float
    spread: float
    residual: float
    shortcut: float


@dataclass(frozen=True)
class Lesion:
    """The accuracy of a network without the residual of one block.

    Attributes:
        block: Name of the block.
        accuracy: Share of images that are still classified correctly, 0..1.
        interval: Its 95 % confidence interval (Wilson 1927), 0..1.
        images: Number of images.
    """

    block: str
    accuracy: float
    interval: tuple[float, float]
    images: int


def contributions(
    model: keras.Model, images: np.ndarray | LazyImages, *, progress: Progress | None = None
) -> tuple[Contribution, ...]:
    """Measure how much each residual block adds to its shortcut.

    ``|F(x)| / |x|`` for a block ``y = x + F(x)``, or ``y = W x + F(x)`` with ``|W x|`` below the line; the norms are
    Euclidean, over all positions and channels of an image.

    Args:
        model: Functional residual network, batch norm in inference mode.
        images: Raw RGB ``(n, height, width, 3)``, 0..255, at least one.
        progress: Called with the number of images done and the total.

    Returns:
        A row for each block, from the input up.

    Raises:
        ValueError: If the model has no residual block or one without a shortcut, or there is no image.

    Source: Greff, Srivastava and Schmidhuber 2016, arXiv:1612.07771: blocks of a stage refine their input.
    """
    blocks = _with_shortcuts(model)
    if not len(images):
        raise ValueError("expected at least one image, got none.")
    paths = [_paths(model, block) for block in blocks]
    measured = keras.Model(model.input, ops.stack([_norm(path) for pair in paths for path in pair], axis=1))
    norms = forward_array(measured, images, batch_size=BATCH, progress=progress).reshape(len(images), len(blocks), 2)
    shares = norms[..., 1] / np.maximum(norms[..., 0], np.finfo(np.float32).tiny)  # (n, blocks)
    shortcut, residual = norms.mean(axis=0).T
    rows = np.stack([shares.mean(axis=0), shares.std(axis=0), residual, shortcut], axis=1).tolist()
    return tuple(Contribution(block.name, *row) for block, row in zip(blocks, rows, strict=True))


def lesions(
    model: keras.Model,
    dataset: Dataset,
    *,
    blocks: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> tuple[Lesion, ...]:
    """Score a network again and again, each time without the residual of one block: ``y = x`` in place of ``x + F(x)``.

    In a copy, gamma and beta of the residual's last batch norm become zero, or kernel and bias of its last convolution
    where no batch norm follows. A block without a shortcut cannot be removed so.

    Args:
        model: Functional residual classifier; not changed.
        dataset: Images that it was not trained on, of its size and with its classes.
        blocks: Names of blocks; None for all.
        progress: Called with the number of blocks done and the total.

    Returns:
        A row for each block, from the input up.

    Raises:
        ValueError: If the model has no residual block, none of a name or one without a shortcut, or the dataset is
            empty.

    Source: Veit, Wilber and Belongie 2016, arXiv:1605.06431, section 4.1: networks with shortcuts hardly notice the
    loss of one block, networks without are destroyed by it.
    """
    chosen = _with_shortcuts(model, blocks)
    if not len(dataset):
        raise ValueError(f"{dataset.name}: expected images to score, got none.")
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    rows = []
    for number, block in enumerate(chosen, start=1):
        weights = _last_affine(block, copy)
        values = [ops.convert_to_numpy(weight) for weight in weights]
        for weight in weights:
            weight.assign(ops.zeros(weight.shape))
        predicted = forward_array(copy, dataset.images, batch_size=BATCH).argmax(axis=1)
        for weight, value in zip(weights, values, strict=True):
            weight.assign(value)
        right = predicted == dataset.labels
        rows.append(Lesion(block.name, float(right.mean()), accuracy_interval(right), len(right)))
        if progress:
            progress(number, len(chosen))
    return tuple(rows)


def _with_shortcuts(model: keras.Model, names: Sequence[str] | None = None) -> list[Block]:
    """Return the blocks of a network, or those of these names; those without a shortcut cannot be left out."""
    network = read_network(model)
    chosen = list(network.blocks) if names is None else [network.block(name, model.name) for name in names]
    if missing := [block.name for block in chosen if block.shortcut is None]:
        raise ValueError(f"{model.name}: expected blocks with a shortcut, got {missing[0]}, which has none.")
    return chosen


def _last_affine(block: Block, model: keras.Model) -> list[keras.Variable]:
    """Return the weights in a copy of the model whose zeros make a block's residual zero."""
    for operation in reversed(block.residual):
        if isinstance(operation, layers.BatchNormalization | layers.Conv2D):
            layer = model.get_layer(operation.name)
            is_norm = isinstance(layer, layers.BatchNormalization)
            weights = (layer.gamma, layer.beta) if is_norm else (layer.kernel, layer.bias)
            return [weight for weight in weights if weight is not None]
    raise ValueError(f"{block.name}: expected a residual with a convolution, got none.")  # read_network finds no other


def _paths(model: keras.Model, block: Block) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Return the outputs of a block's shortcut and residual."""
    shortcut = block.shortcut[-1] if block.shortcut else block.source
    return shortcut.output, block.residual[-1].output


def _norm(feature_map: keras.KerasTensor) -> keras.KerasTensor:
    return ops.sqrt(ops.sum(ops.square(feature_map), axis=(1, 2, 3)))
