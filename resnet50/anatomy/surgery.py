"""Copies of a trained network without some of its blocks, or with two of them swapped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from resnet50.plots.diagrams.network import Block, is_relu, read_network


def without_blocks(model: keras.Model, blocks: Sequence[str]) -> keras.Model:
    """Copy a network without the residual of some blocks: ``y = x`` in place of ``x + F(x)``.

    A convolutional block keeps its shortcut: ``y = W x``. A plain block can go if its input has the shape of its
    output: ``y = x`` in place of ``F(x)``. The convolutions are not in the copy.

    Args:
        model: Functional network; not changed.
        blocks: Names of blocks, such as ``["conv3_block2"]``.

    Returns:
        A new model with the weights of the layers that are left.

    Raises:
        ValueError: If the model has no block of a name, or one changes the shape and has no shortcut.

    Source: Veit, Wilber and Belongie 2016, arXiv:1605.06431, sections 4.1 and 4.2.
    """
    network = read_network(model)
    chosen = [network.block(name, model.name) for name in blocks]
    for block in chosen:
        _check_removable(block)
    carried = {block.output.name: (block.shortcut or (block.source,))[-1].name for block in chosen}
    outputs: dict[str, Any] = {}

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        if layer.name in carried:  # the block's ReLU, or its addition where no ReLU follows
            x = outputs[carried[layer.name]]
            outputs[layer.name] = layer(x) if is_relu(layer) else x
        else:
            outputs[layer.name] = layer(*args, **kwargs)
        return outputs[layer.name]

    copy = keras.models.clone_model(model, call_function=call)
    for layer in copy.layers:
        layer.set_weights(model.get_layer(layer.name).get_weights())
    return copy


def swap_blocks(model: keras.Model, first: str, second: str) -> keras.Model:
    """Copy a network with the weights of two blocks exchanged: its order of computation changes, nothing else.

    Args:
        model: Functional network; not changed.
        first: Name of a block, such as ``"conv3_block2"``.
        second: Name of another one of the same shapes.

    Returns:
        A new model.

    Raises:
        ValueError: If the model has no block of a name, or the two do not have the same shapes.

    Source: Veit, Wilber and Belongie 2016, arXiv:1605.06431, section 4.3.
    """
    network = read_network(model)
    pair = [_weighted(network.block(name, model.name)) for name in (first, second)]
    shapes = [[[weight.shape for weight in layer.weights] for layer in layers] for layers in pair]
    if shapes[0] != shapes[1]:
        raise ValueError(f"{model.name}: expected blocks of the same shapes, got {first} and {second}.")
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    for one, other in zip(*pair, strict=True):
        copy.get_layer(one.name).set_weights(other.get_weights())
        copy.get_layer(other.name).set_weights(one.get_weights())
    return copy


def _check_removable(block: Block) -> None:
    before, after = block.source.output.shape, block.output.output.shape
    if block.shortcut is None and before != after:
        raise ValueError(
            f"{block.name}: expected a block with a shortcut or of one shape, got a plain one from {before} to {after}."
        )


def _weighted(block: Block) -> list[Any]:
    """Return the layers of a block that have weights, in order."""
    return [layer for layer in (*block.before, *(block.shortcut or ()), *block.residual) if layer.weights]
