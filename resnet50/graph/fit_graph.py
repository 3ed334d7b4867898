"""Fitting an image of any size as an ONNX graph, so that a network without this package sees what it was trained on.

Pillow's resizing is linear and separable: for each axis a matrix from the pixels of the image to those of the result.
The graph computes both matrices from the size of the image, and multiplies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper

from resnet50.data.fit import BORDER, Fit
from resnet50.graph.expression import Expressions, Tensor

IMAGE, FITTED = "image", "fitted"
"""Names of the input and of the output."""

_PREFIX = "fit"


def onnx_fit(size: Sequence[int], fit: Fit) -> onnx.ModelProto:
    """Return the graph that fits one image, as `resnet50.data.resizing.fit_pixels` does.

    Args:
        size: Height and width of the result in pixels.
        fit: How it is fitted.

    Returns:
        From ``image``, RGB uint8 ``(height, width, 3)`` of any size, to ``fitted``, float32 ``(1, height, width, 3)``,
        whole numbers 0..255. On photos they differ from Pillow's by 2 at most: it rounds the matrices to 22 bits, and
        where that is cheaper it resizes the columns before the rows, with a rounding in between.
    """
    graph = Expressions(_PREFIX)
    image = graph.input(IMAGE)
    shape = image.apply("Shape").float64()
    rows, columns = _axes([shape.apply("Gather", axis) for axis in (0, 1)], size, fit)
    channels = image.float32().transposed(2, 0, 1)
    narrowed = _rounded(channels @ _matrix(columns, fit.resampling).transposed(1, 0))
    fitted = _rounded(_matrix(rows, fit.resampling) @ narrowed)
    if fit.mode == "pad":
        fitted = _padded(fitted, rows, columns, fit.pad_color)
    return graph.model(
        [helper.make_tensor_value_info(IMAGE, TensorProto.UINT8, ["height", "width", 3])],
        fitted.transposed(1, 2, 0).along(0),
        helper.make_tensor_value_info(FITTED, TensorProto.FLOAT, [1, *size, 3]),
    )


@dataclass(frozen=True)
class _Axis:
    """Where along an axis an image lies in the result, as float64 tensors.

    Attributes:
        pixels: Number of pixels of the image.
        start: Where in the image begins what is shown, in its pixels.
        length: How much is shown, in its pixels.
        shown: Number of pixels of the result that show it.
        places: Which of these each pixel of the result is: from 0 to ``shown - 1``, and beyond where the result is
            padded.
    """

    pixels: Tensor
    start: Tensor
    length: Tensor
    shown: Tensor
    places: Tensor

    def within(self, margin: int = 0) -> Tensor:
        """Return 1 for each pixel of the result that shows the image, but for some at both ends; else 0."""
        return ((self.places >= margin) & (self.places < self.shown - margin)).float64()


def _axes(sides: Sequence[Tensor], size: Sequence[int], fit: Fit) -> list[_Axis]:
    """Return where an image of these sides lies in a result of this size, along both axes."""
    ratios = [side / pixels for side, pixels in zip(sides, size, strict=True)]
    smaller, larger = ratios[0].at_most(ratios[1]), ratios[0].at_least(ratios[1])
    axes = []
    for side, pixels in zip(sides, size, strict=True):
        places = side * 0 + np.arange(pixels)
        shown, length = side * 0 + pixels, side
        if fit.mode == "pad":
            shown = (side / larger).apply("Round").at_least(1)
            places = places - ((pixels - shown) * 0.5).apply("Floor")
        elif fit.mode == "crop":
            length = (smaller * fit.crop_ratio * pixels).at_most(side)
        axes.append(_Axis(side, (side - length) * 0.5, length, shown, places))
    return axes


def _matrix(axis: _Axis, resampling: str) -> Tensor:
    """Return the matrix of an axis, float32 ``(pixels of the result, pixels of the image)``.

    A row has the weights of the pixels around its place, and sums to 1; where the result is padded it is 0.
    """
    step = axis.length / axis.shown
    centers = axis.start + (axis.places.at_least(0).at_most(axis.shown - 1) + 0.5) * step
    pixels = axis.pixels.range() + 0.5
    weights = _KERNELS[resampling](abs((pixels - centers.along(1)) / step.at_least(1)))
    return (weights / weights.sum(1) * axis.within().along(1)).float32()


def _bicubic(x: Tensor) -> Tensor:
    """Return Keys' kernel with a = -1/2 at distances ``x`` of 0 or more."""
    near = x * x * (x * 1.5 - 2.5) + 1
    far = ((x * -0.5 + 2.5) * x - 4) * x + 2
    return near * (x < 1).float64() + far * ((x >= 1) & (x < 2)).float64()


_KERNELS = {"bicubic": _bicubic, "bilinear": lambda x: (1 - x).at_least(0)}


def _rounded(values: Tensor) -> Tensor:
    """Return whole numbers 0..255, as Pillow stores them after each axis."""
    return (values.float64() + 0.5).apply("Floor").at_least(0).at_most(255).float32()


def _padded(fitted: Tensor, rows: _Axis, columns: _Axis, color: str) -> Tensor:
    """Return an image ``(3, height, width)``, 0 outside of what it shows, with a color there."""
    fitted = fitted.float64()
    shown = rows.within().along(1) * columns.within()
    if color == BORDER:  # the first and the last row and column, each pixel once
        sides = shown - rows.within(1).along(1) * columns.within(1)
        mean = (fitted * sides).sum(1, 2) / sides.sum(0, 1)
        fill = mean.apply("Round")
    else:
        red, green, blue = bytes.fromhex(color[1:])
        fill = shown.sum(0, 1).along(0) * 0 + np.reshape([red, green, blue], (3, 1, 1))
    return (fitted + (1 - shown) * fill).float32()


def fitted_inside(network: onnx.ModelProto, fit: Fit) -> onnx.ModelProto:
    """Return a network that takes one image of any size.

    Args:
        network: From ``image``, RGB float32 ``(n, height, width, 3)``, as `resnet50.graph.onnx_graph.onnx_model`
            returns it, in any precision.
        fit: How images are fitted to its size.

    Returns:
        From ``image``, RGB uint8 ``(height, width, 3)``, to the outputs of the network for a batch of one.
    """
    (image,) = network.graph.input
    _, *size, _ = (each.dim_value for each in image.type.tensor_type.shape.dim)
    casts = [node for node in network.graph.node if image.name in node.input]  # float16 converters append them
    others = [node for node in network.graph.node if image.name not in node.input]
    del network.graph.node[:]
    network.graph.node.extend([*casts, *others])
    return onnx.compose.merge_models(onnx_fit(size, fit), network, io_map=[(FITTED, image.name)])


def without_fit(network: onnx.ModelProto, size: Sequence[int]) -> onnx.ModelProto:
    """Return what `fitted_inside` was given: the network behind the fit, for batches of any size.

    Args:
        network: A network that takes one image of any size.
        size: Height and width that it fits them to.
    """
    behind = onnx.ModelProto()
    behind.CopyFrom(network)
    for nodes, first in ((behind.graph.node, lambda node: node.output[0]), (behind.graph.initializer, _name)):
        kept = [each for each in nodes if not first(each).startswith(f"{_PREFIX}/") and first(each) != FITTED]
        del nodes[:]
        nodes.extend(kept)
    del behind.graph.input[:]
    behind.graph.input.append(helper.make_tensor_value_info(FITTED, TensorProto.FLOAT, ["n", *size, 3]))
    return behind


def _name(initializer: onnx.TensorProto) -> str:
    return str(initializer.name)
