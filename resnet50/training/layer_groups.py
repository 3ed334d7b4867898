"""Phases on a network: which layer groups learn, and at which multiple of the learning rate."""

from __future__ import annotations

import re

import keras
from keras import layers

from resnet50.training.phases import Phase

HEAD = "head"
"""Name of the layer group above the last stage."""

_BLOCK_LAYER = re.compile(r"(.+)_block\d+_(?:\d_(?:conv|bn|relu|pad)|drop|add|out)")


def layer_groups(model: keras.Model) -> dict[str, list[layers.Layer]]:
    """Sort the layers of a ResNet into its stem, its stages and its head.

    Args:
        model: Flat network from `resnet50.build.build_resnet50`.

    Returns:
        Layers by group, from the input up: ``"conv1"``, each stage by its name, and `HEAD`, which is everything else.
        Batch norm and ReLU after the last block of preactivation belong to the last stage.
    """
    groups: dict[str, list[layers.Layer]] = {"conv1": []}
    head = []
    for layer in model.layers:
        block = _BLOCK_LAYER.fullmatch(layer.name)
        if block:
            groups.setdefault(block[1], []).append(layer)
        elif layer.name.startswith(("conv1_", "pool1_")):
            groups["conv1"].append(layer)
        elif layer.name.startswith("post_"):
            groups[list(groups)[-1]].append(layer)
        else:
            head.append(layer)
    return {**groups, HEAD: head}


def freeze(model: keras.Model, phase: Phase) -> None:
    """Make the layers of the phase trainable, and freeze the others; compile the model afterwards.

    A frozen batch norm keeps gamma, beta and its statistics, and works as in prediction. (Keras 3 does not do that for
    a batch norm that was called with ``training=False`` while the model was built.)

    Args:
        model: Flat network; ``trainable`` of each of its layers is set.
        phase: The lowest trainable layer group, and whether batch norm below the head is frozen.

    Raises:
        ValueError: If the network has no such layer group.
    """
    groups = layer_groups(model)
    names = list(groups)
    if phase.trainable not in (*names[1:], "all"):
        raise ValueError(
            f"expected trainable to be one of {', '.join(reversed(names[1:]))}, all, got {phase.trainable!r}."
        )
    lowest = 0 if phase.trainable == "all" else names.index(phase.trainable)
    for height, (name, members) in enumerate(groups.items()):
        for layer in members:
            frozen_norm = phase.freeze_batch_norm and name != HEAD and isinstance(layer, layers.BatchNormalization)
            layer.trainable = height >= lowest and not frozen_norm


def learning_rate_multipliers(model: keras.Model, phase: Phase) -> list[float]:
    """Return the multiple of the learning rate of each weight; the head's is 1.

    Args:
        model: Flat network, its layers frozen for the phase.
        phase: Multiplier of the backbone, and the decay from each stage to the one below.

    Returns:
        A multiplier for each of ``model.trainable_variables``, in their order, above 0 and at most 1: for the k-th
        layer group below the head, ``backbone_lr_multiplier * layer_lr_decay**k``.
    """
    groups = layer_groups(model)
    multipliers = {}
    for depth, members in enumerate(reversed(groups.values())):
        multiplier = phase.backbone_lr_multiplier * phase.layer_lr_decay**depth if depth else 1.0
        multipliers.update({id(weight): multiplier for layer in members for weight in layer.weights})
    return [multipliers[id(weight)] for weight in model.trainable_variables]
