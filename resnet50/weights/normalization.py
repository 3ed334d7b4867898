"""What each family of weights expects raw RGB pixels to be turned into, as plain Keras layers in the graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import KerasTensor, layers


@dataclass(frozen=True)
class Normalization:
    """``(x - mean) / std`` per channel of an image in 0..255, after turning RGB into BGR if the weights say so."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    flip_to_bgr: bool = False

    def for_channels(self, channels: int) -> Normalization:
        """Return the same for images of so many channels: itself for three, else its means and deviations averaged.

        What is not RGB has no blue that could come first, so nothing is flipped then.
        """
        if channels == len(self.mean):
            return self
        mean, std = (sum(values) / len(values) for values in (self.mean, self.std))
        return Normalization(mean=(mean,) * channels, std=(std,) * channels)


NORMALIZATIONS = {
    # -1..1, for networks trained from scratch
    "symmetric": Normalization(mean=(127.5, 127.5, 127.5), std=(127.5, 127.5, 127.5)),
    # 0..1, as many a script divides by 255
    "unit": Normalization(mean=(0.0, 0.0, 0.0), std=(255.0, 255.0, 255.0)),
    # keras.applications: BGR as Caffe had it, not scaled
    "caffe": Normalization(mean=(103.939, 116.779, 123.68), std=(1.0, 1.0, 1.0), flip_to_bgr=True),
    # torchvision, timm, Hugging Face: mean and deviation of ImageNet in 0..1
    "torch": Normalization(mean=(0.485 * 255, 0.456 * 255, 0.406 * 255), std=(0.229 * 255, 0.224 * 255, 0.225 * 255)),
}

UNKNOWN = "unknown"
"""Stands for a normalization that is in a graph or file, but is no row of `NORMALIZATIONS` or is not told."""


def normalize(x: KerasTensor, name: str) -> KerasTensor:
    """Add a normalization to the graph; always computed in float32, since bfloat16 errs by most of a gray level.

    Args:
        x: Images, ``(batch, height, width, channels)``, 0..255; with three channels they are RGB.
        name: Row of `NORMALIZATIONS`. Images of another number of channels get the average of the row's means and
            deviations for each channel.

    Returns:
        The shape of ``x``, float32, in the range that the row describes.

    Raises:
        ValueError: If no row has that name.
    """
    if name not in NORMALIZATIONS:
        raise ValueError(f"normalization must be one of {', '.join(NORMALIZATIONS)}, got {name!r}.")
    row = NORMALIZATIONS[name].for_channels(x.shape[-1])
    if row.flip_to_bgr:
        x = keras.ops.flip(x, axis=-1)
    scale, offset = _scale_and_offset(row)
    return layers.Rescaling(scale, offset, dtype="float32", name="normalization")(x)


def find_normalization(operations: Iterable[tuple[str, Mapping[str, Any]]]) -> str | None:
    """Tell by which row a graph normalizes its pixels.

    Args:
        operations: Name of the class and ``get_config()`` of each operation in the graph, layers and others.

    Returns:
        Row of `NORMALIZATIONS`; `UNKNOWN` if the graph rescales in a way that is no row; None if it does not rescale.
    """
    operations = list(operations)
    scalings = [config for kind, config in operations if kind in ("Rescaling", "Normalization")]
    if not scalings:
        return None
    if len(scalings) > 1 or "scale" not in scalings[0]:
        return UNKNOWN
    found = scalings[0]["scale"], scalings[0]["offset"]
    flips = any(kind == "Flip" for kind, _ in operations)
    for name, row in NORMALIZATIONS.items():
        fitted = row.for_channels(max(map(np.size, found)))
        if fitted.flip_to_bgr == flips and all(map(np.allclose, found, _scale_and_offset(fitted))):
            return name
    return UNKNOWN


def model_normalization(model: keras.Model) -> str | None:
    """Tell by which row a model normalizes its pixels, as `find_normalization` does."""
    operations = [op for op in model.operations if type(op).__name__ in ("Rescaling", "Normalization", "Flip")]
    return find_normalization((type(op).__name__, op.get_config()) for op in operations)


def _scale_and_offset(row: Normalization) -> tuple[list[float], list[float]]:
    """Return the row as what a Rescaling layer multiplies by and adds."""
    offset = [-mean / std for mean, std in zip(row.mean, row.std, strict=True)]
    return [1 / std for std in row.std], offset
