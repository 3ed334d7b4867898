"""The cost of each stage of a network: layers, parameters and multiply-accumulates."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from resnet50._io.text import printable
from resnet50.build import build_resnet50
from resnet50.inference.classifier import Classifier
from resnet50.model import TABLE_1

_COLUMNS = ("stage", "layers", "output", "parameters", "MACs")


@dataclass(frozen=True)
class StageCost:
    """The cost of one stage.

    Attributes:
        name: Common prefix of the names of its layers, or the name of a layer outside the stages.
        layers: Number of layers.
        output: Shape of its output without the batch; None for a height or width of any size.
        parameters: Numbers in its weights, moving statistics included.
        macs: Multiply-accumulates for one image in its convolutions and dense layers; 0 if a height or width is None.
    """

    name: str
    layers: int
    output: tuple[int | None, ...]
    parameters: int
    macs: int


@dataclass(frozen=True)
class Summary:
    """The cost of a network, stage by stage; ``str`` gives it as a table.

    Attributes:
        stages: The stages, from input to output.
    """

    stages: tuple[StageCost, ...]

    @property
    def layers(self) -> int:
        """Number of layers, without the input."""
        return sum(stage.layers for stage in self.stages)

    @property
    def parameters(self) -> int:
        """Numbers in all weights, moving statistics included."""
        return sum(stage.parameters for stage in self.stages)

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one image, which the paper calls FLOPs (table 1)."""
        return sum(stage.macs for stage in self.stages)

    def __str__(self) -> str:
        """Return a table with a row for each stage, and the totals."""
        rows = [_COLUMNS]
        for stage in self.stages:
            output = " x ".join("any" if size is None else str(size) for size in stage.output)
            rows.append((printable(stage.name), f"{stage.layers}", output, f"{stage.parameters:,}", f"{stage.macs:,}"))
        rows.append(("total", f"{self.layers}", "", f"{self.parameters:,}", f"{self.macs:,}"))
        first, *others = (max(len(cell) for cell in column) for column in zip(*rows, strict=True))
        return "\n".join(
            "  ".join([row[0].ljust(first), *(cell.rjust(width) for cell, width in zip(row[1:], others, strict=True))])
            for row in rows
        )


def summary(
    model: keras.Model | Classifier | str | os.PathLike[str] | None = None,
    *,
    image_size: int = 64,
    classes: int = 6,
    depth: int = 50,
    form: str = "residual",
) -> Summary:
    """Add up the cost of a network stage by stage.

    Args:
        model: Flat functional model whose layers are named as in keras.applications; a classifier; the folder of a run
            or a ``.keras`` file; or None for a new network of `resnet50.build_resnet50`.
        image_size: Height and width in pixels of the images of a new network.
        classes: Number of classes of a new network.
        depth: Column of `resnet50.model.TABLE_1` of a new network.
        form: Row of `resnet50.forms.FORMS` of a new network.

    Returns:
        The stages and the totals.

    Raises:
        FileNotFoundError: If there is no such model.
        ValueError: If the file is not a classifier, or a new network cannot have this size or these classes.
    """
    if isinstance(model, str | os.PathLike):
        model = Classifier.load(model, runtime="keras")
    network: Any = model.model if isinstance(model, Classifier) else model
    if network is None:
        network = new_network(image_size=image_size, classes=classes, depth=depth, form=form)
    stages: dict[str, list[keras.layers.Layer]] = {}
    for layer in network.layers:
        if not isinstance(layer, layers.InputLayer):
            name = layer.name.split("_")[0] if layer.name.startswith(("conv", "pool", "head", "post")) else layer.name
            stages.setdefault(name, []).append(layer)
    return Summary(tuple(_cost(name, members) for name, members in stages.items()))


def new_network(*, image_size: int = 64, classes: int = 6, depth: int = 50, form: str = "residual") -> keras.Model:
    """Build a column of table 1 with random weights, for square images.

    Raises:
        ValueError: If there is no such column, or an argument is not as `build_resnet50` expects it.
    """
    if depth not in TABLE_1:
        raise ValueError(f"expected depth to be one of {', '.join(map(str, TABLE_1))}, got {depth!r}.")
    return build_resnet50(classes, input_shape=(image_size, image_size, 3), stages=TABLE_1[depth], form=form)


def _cost(name: str, members: list[keras.layers.Layer]) -> StageCost:
    return StageCost(
        name=name,
        layers=len(members),
        output=tuple(members[-1].output.shape[1:]),
        parameters=sum(layer.count_params() for layer in members),
        macs=sum(layer_macs(layer) for layer in members),
    )


def layer_macs(layer: keras.layers.Layer) -> int:
    """Return the multiply-accumulates of a layer for one image; 0 if a height or width is None."""
    if not isinstance(layer, layers.Conv2D | layers.Dense):
        return 0
    *positions, _ = layer.output.shape[1:]
    return 0 if None in positions else math.prod(positions) * math.prod(layer.kernel.shape)
