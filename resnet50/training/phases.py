"""What a phase lets learn, set on a network layer by layer, and how fast each part of it learns."""

from __future__ import annotations

import re

import keras
from keras import layers

from resnet50.training.recipe import Phase

HEAD = "head"
"""Name of the part that is above the last stage."""

_BLOCK_LAYER = re.compile(r"(.+)_block\d+_(?:\d_(?:conv|bn|relu)|add|out)")


def parts(model: keras.Model) -> dict[str, list[layers.Layer]]:
    """Sort the layers of a ResNet by the part they belong to.

    Args:
        model: Flat network, as `resnet50.model.build_resnet50` builds it.

    Returns:
        Layers by part, lowest part first: ``"conv1"``, each stage by its name, and `HEAD`, which is everything else.
    """
    found: dict[str, list[layers.Layer]] = {"conv1": []}
    head = []
    for layer in model.layers:
        block = _BLOCK_LAYER.fullmatch(layer.name)
        if block:
            found.setdefault(block[1], []).append(layer)
        elif layer.name.startswith("conv1_"):
            found["conv1"].append(layer)
        else:
            head.append(layer)
    return {**found, HEAD: head}


def freeze(model: keras.Model, phase: Phase) -> None:
    """Let learn what the phase trains, and nothing else; compile the model afterwards.

    A frozen batch norm neither learns nor moves its statistics: it works as it does in prediction. (Calling it with
    ``training=False`` while the model is built does not bring that about in Keras 3.)

    Args:
        model: Flat network; ``trainable`` of each of its layers is set.
        phase: What trains, and whether batch norm below the head does.

    Raises:
        ValueError: If the network has no such part.
    """
    of_model = parts(model)
    names = list(of_model)
    if phase.trainable not in (*names[1:], "all"):
        raise ValueError(f"trains must be one of {', '.join(reversed(names[1:]))}, all, got {phase.trainable!r}.")
    lowest = 0 if phase.trainable == "all" else names.index(phase.trainable)
    for height, (name, members) in enumerate(of_model.items()):
        for layer in members:
            kept = phase.freeze_batch_norm and name != HEAD and isinstance(layer, layers.BatchNormalization)
            layer.trainable = height >= lowest and not kept


def rate_factors(model: keras.Model, phase: Phase) -> list[float]:
    """Return how fast each weight learns beside the head, whose factor is 1.

    Args:
        model: Flat network, its layers frozen for the phase.
        phase: Ratio of the backbone to the head, and from each stage to the one below.

    Returns:
        A factor for each of ``model.trainable_variables``, in their order, above 0 and at most 1: of the k-th part
        below the head, ``backbone_lr_multiplier * layer_lr_decay**k``.
    """
    of_model = parts(model)
    factors = {}
    for depth, members in enumerate(reversed(of_model.values())):
        factor = phase.backbone_lr_multiplier * phase.layer_lr_decay**depth if depth else 1.0
        factors.update({id(weight): factor for layer in members for weight in layer.weights})
    return [factors[id(weight)] for weight in model.trainable_variables]
