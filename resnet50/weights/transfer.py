"""Weights into a model by layers' names: all of its backbone or nothing, and a report of what came and what did not."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import keras
import numpy as np

from resnet50.weights.layouts import HUGGING_FACE, TORCHVISION, Arrays, Shapes, describe_network, is_backbone
from resnet50.weights.normalization import NORMALIZATIONS, UNKNOWN, model_normalization
from resnet50.weights.read import WeightsFile, read_weights
from resnet50.weights.registry import REGISTRY


@dataclass(frozen=True)
class TransferReport:
    """What `load_weights` did.

    Attributes:
        origin: Name of the published weights, or path of the file.
        layout: Whose names the file has.
        loaded: Layers that got weights from the file.
        kept: Layers that kept their initial weights, each with the reason.
        unused: What of the file was not used, by its name there, each with the reason.
        notes: What else one should know, such as a first kernel that was adapted to other channels.
    """

    origin: str
    layout: str
    loaded: tuple[str, ...]
    kept: Mapping[str, str]
    unused: Mapping[str, str]
    notes: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Return the report as JSON text."""
        return json.dumps(asdict(self), indent=2)

    def __str__(self) -> str:
        counts = f"{len(self.loaded)} layers loaded, {len(self.kept)} kept as they were"
        lines = [f"{self.origin} ({self.layout} layout): {counts}, {len(self.unused)} parts of the file not used"]
        lines += [f"  kept:     {line}" for line in _by_reason(self.kept)]
        lines += [f"  not used: {line}" for line in _by_reason(self.unused)]
        lines += [f"  note:     {line}" for line in self.notes]
        return "\n".join(lines)


def load_weights(
    model: keras.Model, weights: str | os.PathLike[str] | WeightsFile, *, adapt_stem: bool = False
) -> TransferReport:
    """Load published weights or a file's into a network. Either its whole backbone is loaded, or nothing changes.

    Weights go to the layer of their name, after every shape has been compared. The head may be another one than the
    file's, or for other classes: then it stays as it was, and the report says so. A model that normalizes pixels
    otherwise than the weights expect is warned of.

    Args:
        model: Flat model with the layers' names of keras.applications' ResNet-50, with a head or without; changed in
            place.
        weights: Name of published weights, path of a file, or what `read_weights` returned.
        adapt_stem: Whether a first kernel for RGB may be changed to fit images of another number of channels
            (`adapt_kernel`).

    Returns:
        What was loaded, what was kept and what was not used.

    Raises:
        ValueError: If the weights belong to another network (names and both shapes are listed), or `read_weights`
            refuses the file.
        FileNotFoundError: If there is no such file.
    """
    layers = weighted_layers(model)
    file = read_weights(weights)
    needed = {name: [tuple(weight.shape) for weight in layer.weights] for name, layer in layers.items()}
    arrays = _named(file, model)
    clash = notes = _compare_normalizations(file, model)
    if adapt_stem and "conv1_conv" in needed and "conv1_conv" in arrays:
        kernel, *bias = arrays["conv1_conv"]
        channels = needed["conv1_conv"][0][2]
        if kernel.ndim == 4 and kernel.shape[2] == 3 != channels:
            if file.normalization in NORMALIZATIONS and NORMALIZATIONS[file.normalization].flip_to_bgr:
                kernel = kernel[:, :, ::-1]  # images of other channels are not flipped, so the kernel is
            arrays = {**arrays, "conv1_conv": (adapt_kernel(kernel, channels), *bias)}
            how = "their sum" if channels == 1 else f"repeated in turn, times 3/{channels}"
            notes += (f"conv1_conv was adapted from 3 input channels to {channels} ({how})",)
    found = {name: [value.shape for value in values] for name, values in arrays.items()}
    _check_backbone(file, needed, found, model)
    for note in clash:
        warnings.warn(f"{file.origin}: {note}.", stacklevel=2)

    kept, unused = _compare_heads(needed, found)
    loaded = tuple(name for name in layers if name not in kept)
    for name in loaded:
        layers[name].set_weights(arrays[name])
    names = {"torchvision": TORCHVISION, "hugging-face": HUGGING_FACE}.get(file.layout)
    renamed = {(names.module(name) if names else None) or name: reason for name, reason in unused.items()}
    return TransferReport(file.origin, file.layout, loaded, kept, {**renamed, **file.unused}, notes)


def check_top(weights: str | os.PathLike[str], classes: int | None) -> None:
    """Refuse published weights whose top is for another number of classes than the network's; None for no top.

    Raises:
        ValueError: If it is.
    """
    if classes is None or not isinstance(weights, str) or weights not in REGISTRY:
        return
    if REGISTRY[weights].classes != classes:
        raise ValueError(
            f"expected weights with a top for {classes!r} classes, got {weights!r}, which has one for "
            f"{REGISTRY[weights].classes or 'no'}; include_top=False takes them without it, build_resnet50 with a new one."
        )


def load_complete(model: keras.Model, weights: str | os.PathLike[str], *, include_top: bool) -> None:
    """Load weights into the bare network, its top included if it has one.

    Raises:
        ValueError: If they do not fit all of it.
    """
    # as in keras.applications: a network without top does not need the file with one
    report = load_weights(model, "imagenet-notop" if weights == "imagenet" and not include_top else weights)
    for layer, reason in report.kept.items():
        raise ValueError(f"{weights}: expected weights for the top of this network, got others ({layer}: {reason}).")


def weighted_layers(model: keras.Model) -> dict[str, keras.Layer]:
    """Return the layers that have weights, by name.

    Raises:
        ValueError: If none of them has a name of ResNet-50's backbone.
    """
    layers = {layer.name: layer for layer in model.layers if layer.weights}
    if not any(map(is_backbone, layers)):
        found = ", ".join(list(layers)[:3]) or "none with weights"
        raise ValueError(
            f"expected a flat model whose layers are called conv1_conv, conv1_bn and so on, found {found}."
        )
    return layers


def strides_on_1x1(model: keras.Model) -> bool:
    """Tell whether a model strides on the first convolution of a block, as v1 does, and not on the second."""
    return any(
        layer.name.endswith("_1_conv") and max(layer.strides) > 1
        for layer in model.layers
        if isinstance(layer, keras.layers.Conv2D)
    )


def adapt_kernel(kernel: np.ndarray, channels: int) -> np.ndarray:
    """Make a kernel for images of other channels out of one for RGB.

    One channel: the sum over the three, which answers a gray image as the kernel did. More: the three are repeated in
    turn, cut to the number, and scaled by 3 / channels, so that the answer keeps its size.

    Args:
        kernel: ``(height, width, 3, filters)``.
        channels: Channels of the images, at least 1.

    Returns:
        ``(height, width, channels, filters)``, float32.

    Source: timm, ``adapt_input_conv`` and "Multi-channel input" in its documentation on feature extraction.
    """
    if channels == 1:
        return kernel.sum(axis=2, keepdims=True)
    repeated = np.tile(kernel, (1, 1, -(-channels // 3), 1))[:, :, :channels]
    return repeated * np.float32(3 / channels)


def _named(file: WeightsFile, model: keras.Model) -> Arrays:
    """Bring the numbers by which early Keras 3 told layers apart (``conv2d_1``) to names, as Keras does: in order."""
    if any(map(is_backbone, file.arrays)):
        return file.arrays
    kinds = {
        keras.layers.Conv2D: "conv2d",
        keras.layers.BatchNormalization: "batch_normalization",
        keras.layers.Dense: "dense",
    }
    names = {}
    for kind, number in kinds.items():
        ours = [layer.name for layer in model.layers if isinstance(layer, kind)]
        names.update({f"{number}_{n}" if n else number: name for n, name in enumerate(ours)})
    extra = [name for name in file.arrays if name.startswith(("conv2d", "batch_norm")) and name not in names]
    if extra:
        raise ValueError(
            f"{file.origin}: belongs to another network, with {len(extra)} convolutions and batch norms more "
            f"({', '.join(extra[:3])})."
        )
    return {names.get(name, name): values for name, values in file.arrays.items()}


def _compare_normalizations(file: WeightsFile, model: keras.Model) -> tuple[str, ...]:
    ours = model_normalization(model)
    if ours is None or UNKNOWN in (ours, file.normalization) or ours == file.normalization:
        return ()
    return (f"the model normalizes pixels as {ours!r}, but these weights expect {file.normalization!r}",)


def _check_backbone(file: WeightsFile, needed: Shapes, found: Shapes, model: keras.Model) -> None:
    differing = [name for name in {**needed, **found} if is_backbone(name) and needed.get(name) != found.get(name)]
    if differing:
        examples = "; ".join(f"{n}: expected {needed.get(n)}, found {found.get(n)}" for n in differing[:3])
        raise ValueError(
            f"{file.origin}: belongs to another network, {len(differing)} layers differ ({examples})"
            f"{_explain(file, needed, found)}."
        )
    if file.layout != "keras" and strides_on_1x1(model):
        raise ValueError(
            f"{file.origin}: belongs to a network of conventions v1.5, whose stride is on the 3x3 convolutions, but "
            "the model's is on the 1x1 before; build it with conventions=V1_5."
        )


def _explain(file: WeightsFile, needed: Shapes, found: Shapes) -> str:
    """Say in a clause why bodies differ, where it can be told."""
    network = describe_network(found)
    if network != describe_network(needed) and network is not None:
        return f"; the file is of {network}"
    mine, other = needed.get("conv1_conv", []), found.get("conv1_conv", [])
    if not mine or not other or len(other[0]) != 4:
        return ""
    if len(mine) != len(other):
        return (
            f"; the file's conventions are {file.conventions.name} ({_biases(other)}), the model's are not "
            f"({_biases(mine)}): build it with conventions={file.conventions.name.upper().replace('.', '_')}"
        )
    if mine[0][:2] != other[0][:2]:
        sides = [f"{shape[0][0]}x{shape[0][1]}" for shape in (other, mine)]
        return f"; the file's stem has a kernel of {sides[0]}, the model's of {sides[1]}: build it with the other stem"
    if mine[0][2] != other[0][2] == 3:
        return f"; with adapt_stem=True the first kernel is made to fit {mine[0][2]} channels"
    return ""


def _biases(shapes: list[tuple[int, ...]]) -> str:
    return "biases" if len(shapes) == 2 else "no biases"


def _compare_heads(needed: Shapes, found: Shapes) -> tuple[dict[str, str], dict[str, str]]:
    """Return the layers of the model's head that stay as they are, and those of the file's that are not used; and why.

    A head goes as a whole or not at all: a classifier makes no sense behind other layers than its own.
    """
    mine, other = (
        {n: shapes for n, shapes in image_size.items() if not is_backbone(n)} for image_size in (needed, found)
    )
    if mine == other:
        return {}, {}
    kept, unused = {}, {}
    for name in {**mine, **other}:
        if name not in mine:
            unused[name] = "the model has no such layer"
        elif name not in other:
            kept[name] = "not in the file"
        else:
            kept[name] = unused[name] = _differ(mine[name], other[name])
    return kept, unused


def _differ(mine: list[tuple[int, ...]], other: list[tuple[int, ...]]) -> str:
    if mine == other:
        return "it would fit, but the rest of the head is another"
    if len(mine) == len(other) == 2 and mine[0][:-1] == other[0][:-1]:
        return f"{other[0][-1]} classes in the file, {mine[0][-1]} in the model"
    return f"shapes {other} in the file, {mine} in the model"


def _by_reason(reasons: Mapping[str, str]) -> list[str]:
    names: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        names.setdefault(reason, []).append(name)
    return [
        f"{', '.join(these[:4])}{f' and {len(these) - 4} more' if len(these) > 4 else ''}: {reason}"
        for reason, these in names.items()
    ]
