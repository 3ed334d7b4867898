"""What each family of weights expects raw RGB pixels to be turned into, as plain Keras layers in the graph."""

from __future__ import annotations

from dataclasses import dataclass

import keras
from keras import KerasTensor, layers


@dataclass(frozen=True)
class Normalization:
    """``(x - mean) / std`` per channel of a picture in 0..255, after turning RGB into BGR if the weights say so."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    flip_to_bgr: bool = False


NORMALIZATIONS = {
    # -1..1, for networks trained from scratch
    "symmetric": Normalization(mean=(127.5, 127.5, 127.5), std=(127.5, 127.5, 127.5)),
    # keras.applications: BGR as Caffe had it, not scaled
    "caffe": Normalization(mean=(103.939, 116.779, 123.68), std=(1.0, 1.0, 1.0), flip_to_bgr=True),
    # torchvision, timm, Hugging Face: mean and deviation of ImageNet in 0..1
    "torch": Normalization(mean=(0.485 * 255, 0.456 * 255, 0.406 * 255), std=(0.229 * 255, 0.224 * 255, 0.225 * 255)),
}


def normalize(x: KerasTensor, name: str) -> KerasTensor:
    """Add a normalisation to the graph; always computed in float32, since bfloat16 errs by most of a grey level.

    Args:
        x: RGB pictures, ``(batch, height, width, 3)``, 0..255.
        name: Row of `NORMALIZATIONS`.

    Returns:
        ``(batch, height, width, 3)``, float32, in the range that the row describes.

    Raises:
        ValueError: If no row has that name.
    """
    if name not in NORMALIZATIONS:
        raise ValueError(f"normalization must be one of {', '.join(NORMALIZATIONS)}, got {name!r}.")
    row = NORMALIZATIONS[name]
    if row.flip_to_bgr:
        x = keras.ops.flip(x, axis=-1)
    scale = [1 / std for std in row.std]
    offset = [-mean / std for mean, std in zip(row.mean, row.std, strict=True)]
    return layers.Rescaling(scale, offset, dtype="float32", name="normalization")(x)
