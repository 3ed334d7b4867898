"""What the blocks of a network make of single images: feature maps, evidence, and the patches that excite a channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy as np
from keras import layers, ops

from resnet50._io.fetch import Progress
from resnet50.data.lazy_images import LazyImages
from resnet50.graph.geometry import ReceptiveField
from resnet50.inference.batching import forward_array

_BATCH = 32


@dataclass(frozen=True, eq=False)
class ChannelMaps:
    """A channel of a block on one image.

    Attributes:
        channel: Its index.
        maps: Float ``(h, w)`` by name: what the shortcut carries, such as ``"x"`` or ``"W x"``, what the block adds,
            ``"F(x)"`` or ``"F(a)"``, and ``"y"``, what goes out.
    """

    channel: int
    maps: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Patch:
    """Where a channel answers most strongly on an image.

    Attributes:
        image: Index of the image.
        box: Its receptive field on the image, cut at the edges: (top, left, bottom, right) in pixels.
    """

    image: int
    box: tuple[int, int, int, int]


def strongest_channels(
    model: keras.Model, outputs: Mapping[str, keras.KerasTensor], image: np.ndarray, *, count: int
) -> tuple[ChannelMaps, ...]:
    """Return the channels with the highest mean of the last output on an image, the highest first.

    Args:
        model: The network.
        outputs: Feature maps of one shape by their names.
        image: Raw RGB ``(height, width, 3)``, 0..255.
        count: Number of channels, at most.
    """
    computed = keras.Model(model.input, dict(outputs))(image[None].astype("float32"), training=False)
    maps = {name: ops.convert_to_numpy(computed[name])[0] for name in outputs}
    *_, last = maps.values()
    order = np.argsort(-last.mean(axis=(0, 1)), kind="stable")[:count]
    return tuple(ChannelMaps(int(k), {name: each[..., k] for name, each in maps.items()}) for k in order)


def strongest_patches(
    model: keras.Model,
    images: np.ndarray | LazyImages,
    channels: Mapping[str, Sequence[int]],
    fields: Mapping[str, ReceptiveField],
    *,
    count: int,
    progress: Progress | None = None,
) -> dict[str, dict[int, tuple[Patch, ...]]]:
    """Find the patches of images that excite channels most strongly, at most one patch of an image.

    Args:
        model: The network.
        images: Raw RGB ``(n, height, width, 3)``, 0..255.
        channels: Indices of channels, by the name of the layer.
        fields: Receptive field of each of these layers.
        count: Patches for a channel, at most.
        progress: Called with the number of images done and the total.

    Returns:
        By layer and channel, the patches, the strongest first.
    """
    outputs = [ops.take(model.get_layer(name).output, list(chosen), axis=-1) for name, chosen in channels.items()]
    flat = [ops.reshape(output, (-1, output.shape[1] * output.shape[2], output.shape[3])) for output in outputs]
    peaks = [part for each in flat for part in (ops.max(each, axis=1), ops.cast(ops.argmax(each, axis=1), "float32"))]
    together = keras.Model(model.input, ops.concatenate(peaks, axis=-1))
    rows = forward_array(together, images, batch_size=_BATCH, progress=progress)
    found: dict[str, dict[int, tuple[Patch, ...]]] = {}
    column = 0
    for (name, chosen), output in zip(channels.items(), outputs, strict=True):
        found[name] = {}
        for k, channel in enumerate(chosen):
            strength, place = rows[:, column + k], rows[:, column + len(chosen) + k].astype(int)
            best = [int(index) for index in np.argsort(-strength, kind="stable")[:count] if strength[index] > 0]
            cells = {index: divmod(int(place[index]), output.shape[2]) for index in best}
            found[name][channel] = tuple(
                Patch(index, field_box(fields[name], cell, images.shape[1:3])) for index, cell in cells.items()
            )
        column += 2 * len(chosen)
    return found


def field_box(field: ReceptiveField, cell: tuple[int, int], image_size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the receptive field of a cell on an image of a (height, width): (top, left, bottom, right) in pixels."""
    starts, ends = [], []
    for k in range(2):
        middle = field.center[k] + field.jump[k] * cell[k] + 0.5  # pixel 0 reaches from 0 to 1
        starts.append(int(np.clip(np.floor(middle - field.size[k] / 2), 0, image_size[k] - 1)))
        ends.append(int(np.clip(np.ceil(middle + field.size[k] / 2), starts[k] + 1, image_size[k])))
    return starts[0], starts[1], ends[0], ends[1]


def filters_in_rgb(model: keras.Model, convolution: layers.Conv2D) -> np.ndarray:
    """Return the filters of a first convolution as they act on RGB: float ``(filters, h, w, 3)``.

    What lies between the image and the convolution, such as a normalization or the change to BGR, is linear but for a
    constant, and so part of the filter.
    """
    _, height, width, _ = model.input_shape
    before = keras.Model(model.input, convolution.input)
    black = np.zeros((1, height or 32, width or 32, 3), np.float32)
    colors = [black + np.eye(3, dtype=np.float32)[k] for k in range(3)]
    middle = (0, (height or 32) // 2, (width or 32) // 2)
    answers = [ops.convert_to_numpy(before(image, training=False))[middle] for image in (black, *colors)]
    matrix = np.stack([answer - answers[0] for answer in answers[1:]], axis=1)  # (channels, 3)
    return np.einsum("hwcf,cr->fhwr", ops.convert_to_numpy(convolution.kernel), matrix)
