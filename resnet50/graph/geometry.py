"""Where on an image the cells of a feature map look, from kernels, strides and paddings. Needs no Keras."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from resnet50._io.text import plural
from resnet50.graph.network_graph import Graph, references

FEATURE_MAP = "feature_map"
"""Name of the metadata of an ONNX file that hold a `FeatureMap` as JSON."""


@dataclass(frozen=True)
class ReceptiveField:
    """The pixels that a cell of a feature map depends on; each pair is for (height, width).

    The cell ``(i, j)`` is centered on the pixel ``center + jump * (i, j)``, where pixel 0 has its center at 0.

    Attributes:
        size: Pixels from the first to the last that the cell depends on, as if the image had no end.
        jump: Pixels from the center of a cell to that of the next: the product of the strides before.
        center: Pixel on which the first cell is centered.
    """

    size: tuple[int, int]
    jump: tuple[int, int]
    center: tuple[float, float]


@dataclass(frozen=True)
class FeatureMap:
    """The output of a layer that has positions.

    Attributes:
        layer: Name of the layer.
        cells: Number of positions, (height, width); None for images of any size.
        field: The receptive field of a position.
    """

    layer: str
    cells: tuple[int | None, int | None]
    field: ReceptiveField

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> FeatureMap:
        """Return the map that `dataclasses.asdict` has made numbers and lists of."""
        field = ReceptiveField(**{name: tuple(pair) for name, pair in values["field"].items()})
        return cls(values["layer"], tuple(values["cells"]), field)

    def __str__(self) -> str:
        """Name the layer, and say how coarse it is: ``conv4_block6_out, 4 x 4 cells, 16 pixels apart``."""
        return f"{self.layer}, {self.cells_in_words}"

    @property
    def cells_in_words(self) -> str:
        """How coarse it is: ``4 x 4 cells, 16 pixels apart``; without their number for images of any size."""
        (rows, columns), (down, right) = self.cells, self.field.jump
        apart = plural(down, "pixel") if down == right else f"{down} x {right} pixels"
        return f"cells {apart} apart" if None in self.cells else f"{rows} x {columns} cells, {apart} apart"

    def resolves(self, image_size: tuple[int, int]) -> bool:
        """Return whether at least four of its cells fit beside each other into images of this (height, width)."""
        fits = all(4 * jump <= length for jump, length in zip(self.field.jump, image_size, strict=True))
        return fits and self.cells != (1, 1)


def feature_maps(graph: Graph, *, image_size: tuple[int, int] | None = None) -> dict[str, FeatureMap]:
    """Return each feature map whose geometry is known, by the name of its layer, in the order of the layers.

    Known are convolutions, poolings, padding, and layers that work at each position alone. What follows another layer
    is left out.

    Args:
        graph: A network, channels last; its weights are not used.
        image_size: (height, width) of the images, for a network that takes any size.
    """
    axes: dict[str, _Axes | None] = {}
    for row in graph.layers:
        inputs = [axes[reference[0]] for reference in references(row["inbound_nodes"])]
        axes[row["name"]] = _output(row, inputs, image_size)
    return {name: _feature_map(name, known) for name, known in axes.items() if known is not None}


@dataclass(frozen=True)
class _Axis:
    """One axis of a feature map: its cell i depends on the pixels from ``low + jump * i`` to ``high + jump * i``.

    Attributes:
        length: Number of cells; None for images of any size.
        jump: Pixels.
        low: Pixel; below 0 in the padding.
        high: Pixel.
    """

    length: int | None
    jump: int = 1
    low: int = 0
    high: int = 0

    def padded(self, before: int, after: int) -> _Axis:
        """Put cells before the first and after the last."""
        length = None if self.length is None else self.length + before + after
        return _Axis(length, self.jump, self.low - before * self.jump, self.high - before * self.jump)

    def windowed(self, kernel: int, stride: int) -> _Axis:
        """Move a window over the cells, without padding."""
        length = None if self.length is None else (self.length - kernel) // stride + 1
        return _Axis(length, self.jump * stride, self.low, self.high + (kernel - 1) * self.jump)

    def padded_as_same(self, kernel: int, stride: int) -> _Axis | None:
        """Pad as Keras' ``padding="same"`` does: an odd cell comes last. None where that depends on the length."""
        if self.length is None and stride > 1:
            return None
        left_over = 0 if self.length is None else (self.length - 1) % stride
        total = max(kernel - 1 - left_over, 0)
        return self.padded(total // 2, total - total // 2)


_Axes = tuple[_Axis, _Axis]

_POINTWISE = (
    "Activation", "Add", "BatchNormalization", "Dropout", "Normalization", "ReLU", "Rescaling", "SpatialDropout2D",
)  # fmt: skip
"""Classes of layers whose output at a position depends on that position alone, and does not move."""

_CHANNELWISE = ("Concatenate", "Flip", "LayerNormalization", "Softmax")
"""Classes of layers for which that holds where they work along the channels."""

_WINDOWS = {
    "AveragePooling2D": "pool_size", "Conv2D": "kernel_size", "DepthwiseConv2D": "kernel_size",
    "MaxPooling2D": "pool_size", "SeparableConv2D": "kernel_size",
}  # fmt: skip
"""For each class of layers that move a window, the name of its size."""


def _output(row: Mapping[str, Any], inputs: Sequence[_Axes | None], image_size: tuple[int, int] | None) -> _Axes | None:
    kind, config = row["class_name"], row["config"]
    if kind == "InputLayer":
        _, *shape = config["batch_shape"]
        height, width = image_size or shape[:2]
        return (_Axis(height), _Axis(width)) if len(shape) == 3 else None
    if not inputs or len(row["inbound_nodes"]) != 1 or config.get("data_format") == "channels_first":
        return None
    known = [each for each in inputs if each is not None]
    if len(known) != len(inputs):
        return None
    if kind in _POINTWISE or (kind in _CHANNELWISE and config.get("axis") in (-1, 3, [-1], [3])):
        return _merged(known)
    if kind == "ZeroPadding2D":
        return _both([axis.padded(*config["padding"][k]) for k, axis in enumerate(known[0])])
    if kind in _WINDOWS:
        return _both([_window(axis, config, config[_WINDOWS[kind]][k], k) for k, axis in enumerate(known[0])])
    return None


def _window(axis: _Axis, config: Mapping[str, Any], size: int, k: int) -> _Axis | None:
    stride = config["strides"][k]
    kernel = (size - 1) * config.get("dilation_rate", (1, 1))[k] + 1
    padded = axis if config["padding"] == "valid" else axis.padded_as_same(kernel, stride)
    return None if padded is None else padded.windowed(kernel, stride)


def _merged(inputs: Sequence[_Axes]) -> _Axes | None:
    """Return the axes of maps that meet in a sum or side by side; None where their cells do not lie on one grid."""
    merged = []
    for along in zip(*inputs, strict=True):
        if len({(axis.length, axis.jump) for axis in along}) > 1:
            return None
        low, high = min(axis.low for axis in along), max(axis.high for axis in along)
        merged.append(_Axis(along[0].length, along[0].jump, low, high))
    return _both(merged)


def _both(axes: Sequence[_Axis | None]) -> _Axes | None:
    vertical, horizontal = axes
    return None if vertical is None or horizontal is None else (vertical, horizontal)


def _feature_map(layer: str, axes: _Axes) -> FeatureMap:
    one, other = axes
    field = ReceptiveField(
        size=(one.high - one.low + 1, other.high - other.low + 1),
        jump=(one.jump, other.jump),
        center=((one.low + one.high) / 2, (other.low + other.high) / 2),
    )
    return FeatureMap(layer, (one.length, other.length), field)
