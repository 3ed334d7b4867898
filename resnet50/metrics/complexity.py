"""What each stage of a network costs: layers, parameters and multiply-accumulates."""

from __future__ import annotations

import math
from dataclasses import dataclass

import keras
from keras import layers


@dataclass(frozen=True)
class StageCost:
    """One stage.

    Attributes:
        name: Prefix of the names of its layers, or the layer's own name outside the stages.
        layers: Number of layers.
        output: Shape that leaves it, without the batch; None for a side of any size.
        parameters: Numbers in its weights, moving statistics included.
        macs: Multiply-accumulates for one image in its convolutions and dense layers; 0 if a side is None.
    """

    name: str
    layers: int
    output: tuple[int | None, ...]
    parameters: int
    macs: int


def stage_costs(model: keras.Model) -> list[StageCost]:
    """Add up a network's costs stage by stage.

    Args:
        model: Flat functional model whose layers are named as in keras.applications.

    Returns:
        A row for each stage, from input to output. The sum of ``macs`` is what the paper calls FLOPs (table 1).
    """
    stages: dict[str, list[keras.layers.Layer]] = {}
    for layer in model.layers:
        if not isinstance(layer, layers.InputLayer):
            name = layer.name.split("_")[0] if layer.name.startswith(("conv", "pool", "head")) else layer.name
            stages.setdefault(name, []).append(layer)
    return [
        StageCost(
            name=name,
            layers=len(members),
            output=tuple(members[-1].output.shape[1:]),
            parameters=sum(layer.count_params() for layer in members),
            macs=sum(_macs(layer) for layer in members),
        )
        for name, members in stages.items()
    ]


def _macs(layer: keras.layers.Layer) -> int:
    if not isinstance(layer, layers.Conv2D | layers.Dense):
        return 0
    *places, _ = layer.output.shape[1:]
    return 0 if None in places else math.prod(places) * math.prod(layer.kernel.shape)
