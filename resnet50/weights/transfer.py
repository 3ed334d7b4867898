"""Load pretrained weights by layer name; the backbone loads completely or not at all."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import keras
import numpy as np

from resnet50._io.text import listed, plural, printable
from resnet50.weights.layouts import HUGGING_FACE, TORCHVISION, Arrays, Shapes, describe_network, is_backbone
from resnet50.weights.normalization import NORMALIZATIONS, UNKNOWN, model_normalization
from resnet50.weights.read import WeightsFile, read_weights
from resnet50.weights.registry import REGISTRY


@dataclass(frozen=True)
class TransferReport:
    """The result of `load_weights`.

    Attributes:
        origin: Name of the published weights, or path of the file.
        layout: Naming scheme of the file.
        loaded: Layers that were loaded from the file.
        kept: Layers that keep their initial weights, each with the reason.
        unused: Content of the file that was not used: its name there, each with the reason.
        notes: Other remarks, for example that the first kernel was adapted to other channels.
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
        counts = f"{plural(len(self.loaded), 'layer')} loaded, {len(self.kept)} unchanged"
        unused = f"{len(self.unused)} {'entry' if len(self.unused) == 1 else 'entries'} of the file not used"
        lines = [f"{self.origin} ({self.layout} layout): {counts}, {unused}"]
        lines += [f"  unchanged: {line}" for line in _by_reason(self.kept)]
        lines += [f"  not used:  {line}" for line in _by_reason(self.unused)]
        lines += [f"  note:      {line}" for line in self.notes]
        return "\n".join(map(printable, lines))


def load_weights(
    model: keras.Model,
    weights: str | os.PathLike[str] | WeightsFile,
    *,
    adapt_stem: bool = False,
    class_names: Sequence[str] | None = None,
) -> TransferReport:
    """Load pretrained weights into a network. The backbone loads completely, or nothing changes.

    Weights are loaded by layer name, after all shapes have been compared. A head that differs from the file's, or is
    for other classes, keeps its weights; the report lists it. Classes are compared by name where the file and
    ``class_names`` give them; else the report notes that a head that fits was loaded unchecked. A warning is issued if
    the model normalizes pixels in another way than the weights expect.

    Args:
        model: Flat model with the layer names of keras.applications' ResNet, with or without a head; changed in place.
        weights: Name of published weights, path of a file, or a `WeightsFile`.
        adapt_stem: Whether to adapt a first kernel for RGB to images of another number of channels (`adapt_kernel`).
        class_names: Name of each output of the model; None if they are not known.

    Returns:
        Report of what was loaded, unchanged and not used.

    Raises:
        ValueError: If the weights belong to another network (names and both shapes are listed), or `read_weights`
            cannot read the file.
        FileNotFoundError: If the file does not exist.
    """
    layers = weighted_layers(model)
    file = read_weights(weights)
    expected = {name: [tuple(weight.shape) for weight in layer.weights] for name, layer in layers.items()}
    arrays = _rename_numbered(file, model)
    warned = notes = _compare_normalizations(file, model)
    if adapt_stem:
        arrays, adapted = _adapt_first_kernel(file, arrays, expected)
        notes += adapted
    available = {name: [value.shape for value in values] for name, values in arrays.items()}
    _check_backbone(file, expected, available, model)
    for note in warned:
        warnings.warn(f"{file.origin}: {note}.", stacklevel=2)

    kept, unused = _compare_heads(expected, available)
    if not kept and not unused:
        kept, unused, trusted = _compare_classes(file, class_names, [name for name in layers if not is_backbone(name)])
        notes += trusted
    loaded = tuple(name for name in layers if name not in kept)
    for name in loaded:
        layers[name].set_weights(arrays[name])
    family = {"torchvision": TORCHVISION, "hugging-face": HUGGING_FACE}.get(file.layout)
    unused_in_file = {(family.module(name) if family else None) or name: reason for name, reason in unused.items()}
    return TransferReport(file.origin, file.layout, loaded, kept, {**unused_in_file, **file.unused}, notes)


def check_top(weights: str | os.PathLike[str], classes: int | None) -> None:
    """Check that published weights have a top for the network's number of classes.

    Args:
        weights: Name of published weights; a path is not checked.
        classes: Number of classes, None for a network without top.

    Raises:
        ValueError: If the weights have another top or none.
    """
    if classes is None or not isinstance(weights, str) or weights not in REGISTRY:
        return
    if REGISTRY[weights].classes != classes:
        raise ValueError(
            f"expected weights with a top for {classes!r} classes, got {weights!r}, which has one for "
            f"{REGISTRY[weights].classes or 'no'} classes; use include_top=False, or build_resnet50 for a new top."
        )


def load_complete(model: keras.Model, weights: WeightsFile) -> None:
    """Load weights into the bare network, including its top if it has one.

    Args:
        model: Network that `resnet50.model.ResNet50` built; changed in place.
        weights: The weights.

    Raises:
        ValueError: If a layer of the network has no fitting weights.
    """
    report = load_weights(model, weights)
    if report.kept:
        layer, reason = next(iter(report.kept.items()))
        raise ValueError(
            f"{weights.origin}: expected weights for the top of this network, got none that fit {layer!r} ({reason})."
        )


def weighted_layers(model: keras.Model) -> dict[str, keras.Layer]:
    """Return the layers that have weights, by name.

    Raises:
        ValueError: If no layer has a name of a ResNet backbone.
    """
    layers = {layer.name: layer for layer in model.layers if layer.weights}
    if not any(map(is_backbone, layers)):
        names = ", ".join(list(layers)[:3]) or "none with weights"
        raise ValueError(f"expected a flat model with layers named conv1_conv, conv1_bn and so on, got {names}.")
    return layers


def strides_on_1x1(model: keras.Model) -> bool:
    """Return whether a model has strides on the first 1x1 convolution of a block, as v1, and not on the 3x3."""
    return any(
        layer.name.endswith("_1_conv") and max(layer.strides) > 1 and layer.kernel_size == (1, 1)
        for layer in model.layers
        if isinstance(layer, keras.layers.Conv2D)
    )


def adapt_kernel(kernel: np.ndarray, channels: int) -> np.ndarray:
    """Adapt a kernel for RGB images to another number of channels.

    For one channel: the sum over the three, whose output for a gray image is unchanged. For more: the three are
    repeated in turn up to the number of channels and scaled by ``3 / channels``, which keeps the output's magnitude.

    Args:
        kernel: ``(height, width, 3, filters)``.
        channels: Number of channels of the images, at least 1.

    Returns:
        ``(height, width, channels, filters)``, float32.

    Source: timm, ``adapt_input_conv`` and "Multi-channel input" in its documentation on feature extraction.
    """
    if channels == 1:
        return kernel.sum(axis=2, keepdims=True)
    repeated = np.tile(kernel, (1, 1, -(-channels // 3), 1))[:, :, :channels]
    return repeated * np.float32(3 / channels)


def _rename_numbered(file: WeightsFile, model: keras.Model) -> Arrays:
    """Replace the numbers of early Keras 3 (``conv2d_1``) by layer names, in the model's order as Keras does."""
    if any(map(is_backbone, file.arrays)):
        return file.arrays
    prefixes = {
        keras.layers.Conv2D: "conv2d",
        keras.layers.BatchNormalization: "batch_normalization",
        keras.layers.Dense: "dense",
    }
    names = {}
    for layer_type, prefix in prefixes.items():
        ours = [layer.name for layer in model.layers if isinstance(layer, layer_type)]
        names.update({f"{prefix}_{n}" if n else prefix: name for n, name in enumerate(ours)})
    extra = [name for name in file.arrays if name.startswith(("conv2d", "batch_norm")) and name not in names]
    if extra:
        raise ValueError(
            f"{file.origin}: expected weights of this network, got those of another, which has {len(extra)} more "
            f"convolutions and batch norms ({', '.join(extra[:3])})."
        )
    return {names.get(name, name): values for name, values in file.arrays.items()}


def _adapt_first_kernel(file: WeightsFile, arrays: Arrays, expected: Shapes) -> tuple[Arrays, tuple[str, ...]]:
    """Return the arrays with a first kernel that takes the model's channels, and a note if it was adapted."""
    if "conv1_conv" not in expected or "conv1_conv" not in arrays:
        return arrays, ()
    kernel, *bias = arrays["conv1_conv"]
    channels = expected["conv1_conv"][0][2]
    if kernel.ndim != 4 or kernel.shape[2] != 3 or channels == 3:
        return arrays, ()
    if file.normalization in NORMALIZATIONS and NORMALIZATIONS[file.normalization].flip_to_bgr:
        kernel = kernel[:, :, ::-1]  # only RGB images are flipped to BGR, so the kernel is flipped back
    method = "their sum" if channels == 1 else f"repeated in turn, times 3/{channels}"
    note = f"conv1_conv was adapted from 3 input channels to {channels} ({method})"
    return {**arrays, "conv1_conv": (adapt_kernel(kernel, channels), *bias)}, (note,)


def _compare_normalizations(file: WeightsFile, model: keras.Model) -> tuple[str, ...]:
    ours = model_normalization(model)
    if ours is None or UNKNOWN in (ours, file.normalization) or ours == file.normalization:
        return ()
    return (f"the model normalizes pixels as {ours!r}, but these weights expect {file.normalization!r}",)


def _check_backbone(file: WeightsFile, expected: Shapes, available: Shapes, model: keras.Model) -> None:
    names = [n for n in {**expected, **available} if is_backbone(n) and expected.get(n) != available.get(n)]
    if names:
        examples = "; ".join(f"{n}: expected {expected.get(n)}, got {available.get(n)}" for n in names[:3])
        raise ValueError(
            f"{file.origin}: expected weights of this network, got those of another; {plural(len(names), 'layer')} "
            f"{'differs' if len(names) == 1 else 'differ'} ({examples}){_explain(file, expected, available)}."
        )
    if file.layout != "keras" and strides_on_1x1(model):
        raise ValueError(
            f"{file.origin}: expected a model of conventions v1.5, with strides on the 3x3 convolutions, got one with "
            "strides on the 1x1; build it with conventions=V1_5."
        )


def _explain(file: WeightsFile, expected: Shapes, available: Shapes) -> str:
    """Return a clause on why the backbones differ; empty if unknown."""
    network = describe_network(available)
    if network != describe_network(expected) and network is not None:
        return f"; the file is of {network}"
    ours, theirs = expected.get("conv1_conv", []), available.get("conv1_conv", [])
    if not ours or not theirs or len(theirs[0]) != 4:
        return ""
    if len(ours) != len(theirs):
        return (
            f"; the file has the conventions {file.conventions.name} ({_biases(theirs)}), the model has others "
            f"({_biases(ours)}): build it with conventions={file.conventions.name.upper().replace('.', '_')}"
        )
    if ours[0][:2] != theirs[0][:2]:
        sizes = [f"{shape[0][0]}x{shape[0][1]}" for shape in (theirs, ours)]
        return (
            f"; the stem of the file has a kernel of {sizes[0]}, the model's of {sizes[1]}: build it with another stem"
        )
    if ours[0][2] != theirs[0][2] == 3:
        return f"; adapt_stem=True adapts the first kernel to {ours[0][2]} channels"
    return ""


def _biases(shapes: list[tuple[int, ...]]) -> str:
    return "biases" if len(shapes) == 2 else "no biases"


def _compare_heads(expected: Shapes, available: Shapes) -> tuple[dict[str, str], dict[str, str]]:
    """Return the head layers of the model that are not loaded and those of the file that are not used, with reasons.

    A head is loaded as a whole or not at all, since a classifier is useless after layers other than its own.
    """
    ours = {name: shapes for name, shapes in expected.items() if not is_backbone(name)}
    theirs = {name: shapes for name, shapes in available.items() if not is_backbone(name)}
    if ours == theirs:
        return {}, {}
    kept, unused = {}, {}
    for name in {**ours, **theirs}:
        if name not in ours:
            unused[name] = "the model has no such layer"
        elif name not in theirs:
            kept[name] = "not in the file"
        else:
            kept[name] = unused[name] = _difference(ours[name], theirs[name])
    return kept, unused


def _compare_classes(
    file: WeightsFile, class_names: Sequence[str] | None, head: Sequence[str]
) -> tuple[dict[str, str], dict[str, str], tuple[str, ...]]:
    """Return what `_compare_heads` does for a head that fits but is of other classes, and a note if none can tell."""
    if not head:
        return {}, {}, ()
    if class_names is None or file.class_names is None:
        side = "the file does not name its classes" if file.class_names is None else "the model's classes are unknown"
        return {}, {}, (f"the head was loaded because its shapes fit; {side}, so they were not compared",)
    if tuple(class_names) == file.class_names:
        return {}, {}, ()
    reason = f"other classes in the file ({listed(file.class_names)}) than in the model ({listed(class_names)})"
    return dict.fromkeys(head, reason), dict.fromkeys(head, reason), ()


def _difference(ours: list[tuple[int, ...]], theirs: list[tuple[int, ...]]) -> str:
    if ours == theirs:
        return "it would fit, but the rest of the head differs"
    if len(ours) == len(theirs) == 2 and ours[0][:-1] == theirs[0][:-1]:
        return f"{theirs[0][-1]} classes in the file, {ours[0][-1]} in the model"
    return f"shapes {theirs} in the file, {ours} in the model"


def _by_reason(reasons: Mapping[str, str]) -> list[str]:
    by_reason: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        by_reason.setdefault(reason, []).append(name)
    return [f"{listed(names, most=4)}: {reason}" for reason, names in by_reason.items()]
