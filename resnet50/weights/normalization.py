"""Input normalizations that each family of weights expects, as plain Keras layers in the graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras
    from keras import KerasTensor


@dataclass(frozen=True)
class Normalization:
    """``(x - mean) / std`` per channel of an image in 0..255; for some weights, RGB becomes BGR first.

    Attributes:
        mean: Mean of each channel, in gray levels.
        std: Standard deviation of each channel, in gray levels.
        flip_to_bgr: Whether to reverse the channels first; ``mean`` and ``std`` are then in the order BGR.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    flip_to_bgr: bool = False

    def for_channels(self, channels: int) -> Normalization:
        """Return the normalization for images of another number of channels: means and deviations are averaged.

        Only RGB images are flipped.

        Args:
            channels: Number of channels.

        Returns:
            This normalization for three channels, else one with equal values for each channel.
        """
        if channels == len(self.mean):
            return self
        mean, std = (sum(values) / len(values) for values in (self.mean, self.std))
        return Normalization(mean=(mean,) * channels, std=(std,) * channels)


NORMALIZATIONS = {
    # -1..1, for networks trained from scratch
    "symmetric": Normalization(mean=(127.5, 127.5, 127.5), std=(127.5, 127.5, 127.5)),
    # 0..1, as in many scripts
    "unit": Normalization(mean=(0.0, 0.0, 0.0), std=(255.0, 255.0, 255.0)),
    # keras.applications: BGR as in Caffe, not scaled
    "caffe": Normalization(mean=(103.939, 116.779, 123.68), std=(1.0, 1.0, 1.0), flip_to_bgr=True),
    # torchvision, timm, Hugging Face: mean and standard deviation of ImageNet in 0..1
    "torch": Normalization(mean=(0.485 * 255, 0.456 * 255, 0.406 * 255), std=(0.229 * 255, 0.224 * 255, 0.225 * 255)),
}
"""Input normalizations by name."""

UNKNOWN = "unknown"
"""Name of a normalization that a graph or file has, but that is none of `NORMALIZATIONS` or is not specified."""


def normalize(x: KerasTensor, name: str) -> KerasTensor:
    """Add a normalization to the graph: ``(x - mean) / std`` per channel.

    It is always computed in float32, since the error of bfloat16 is most of a gray level.

    Args:
        x: Images, ``(N, H, W, C)``, 0..255; RGB if they have three channels.
        name: Row of `NORMALIZATIONS`. For images of another number of channels, the row's means and deviations are
            averaged.

    Returns:
        Normalized images, shape of ``x``, float32.

    Raises:
        ValueError: If no row has that name.
    """
    import keras  # here and not above: the readers of weights files need no Keras

    if name not in NORMALIZATIONS:
        raise ValueError(f"expected normalization to be one of {', '.join(NORMALIZATIONS)}, got {name!r}.")
    row = NORMALIZATIONS[name].for_channels(x.shape[-1])
    if row.flip_to_bgr:
        x = keras.ops.flip(x, axis=-1)
    scale, offset = _scale_and_offset(row)
    return keras.layers.Rescaling(scale, offset, dtype="float32", name="normalization")(x)


def find_normalization(operations: Iterable[tuple[str, Mapping[str, Any]]]) -> str | None:
    """Find out how a graph normalizes its pixels.

    Args:
        operations: Class name and ``get_config()`` of each operation in the graph, layers and others.

    Returns:
        Row of `NORMALIZATIONS`; `UNKNOWN` if the graph rescales in another way; None if it does not rescale.
    """
    operations = list(operations)
    scalings = [config for class_name, config in operations if class_name in ("Rescaling", "Normalization")]
    if not scalings:
        return None
    if len(scalings) > 1 or "scale" not in scalings[0]:
        return UNKNOWN
    scale_and_offset = scalings[0]["scale"], scalings[0]["offset"]
    flips = any(class_name == "Flip" for class_name, _ in operations)
    for name, row in NORMALIZATIONS.items():
        adapted = row.for_channels(max(map(np.size, scale_and_offset)))
        if adapted.flip_to_bgr == flips and all(map(np.allclose, scale_and_offset, _scale_and_offset(adapted))):
            return name
    return UNKNOWN


def model_normalization(model: keras.Model) -> str | None:
    """Return how a model normalizes its pixels, as `find_normalization` does."""
    operations = [op for op in model.operations if type(op).__name__ in ("Rescaling", "Normalization", "Flip")]
    return find_normalization((type(op).__name__, op.get_config()) for op in operations)


def _scale_and_offset(row: Normalization) -> tuple[list[float], list[float]]:
    """Return the factors and summands of a Rescaling layer that computes the normalization."""
    offset = [-mean / std for mean, std in zip(row.mean, row.std, strict=True)]
    return [1 / std for std in row.std], offset
