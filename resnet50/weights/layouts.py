"""Convert weights between naming schemes: layer names and axis order of each publisher.

Ours are those of keras.applications: layers ``conv1_conv`` ... ``predictions``, kernels ``(height, width, in, out)``.
PyTorch has ``(out, in, height, width)`` for convolutions and ``(out, in)`` for dense layers, Keras ``(in, out)``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

Arrays = Mapping[str, tuple[np.ndarray, ...]]
"""Weights by layer name, in Keras' order: kernel and bias, or gamma, beta, moving mean and moving variance."""

Shapes = Mapping[str, list[tuple[int, ...]]]
"""Shapes of the weights by layer name."""

LIMIT = 1 << 30
"""Maximum size in bytes of a weights file, packed and unpacked; a ResNet-50 with its optimizer has 0.4 GB."""


class UnfitFileError(ValueError):
    """A file does not contain the weights of a ResNet. The text completes "expected ..., got"."""


@dataclass(frozen=True)
class Layout:
    """The names in one family of PyTorch state dicts.

    Attributes:
        name: Name of the family.
        outer: Modules outside the stages, with our layer names.
        stages: Text before the number of a stage.
        blocks: Text between the numbers of stage and block.
        shift: Our number of a stage minus the family's.
        inner: Modules of a block, with the ends of our layer names.
    """

    name: str
    outer: Mapping[str, str]
    stages: str
    blocks: str
    shift: int
    inner: Mapping[str, str]

    def layer(self, name: str) -> str | None:
        """Return our name of a module, such as ``conv2_block1_0_bn`` for ``layer1.0.downsample.1``; None if unknown."""
        if name in self.outer:
            return self.outer[name]
        number = r"(0|[1-9]\d?)"
        match = re.fullmatch(f"{re.escape(self.stages)}{number}{re.escape(self.blocks)}{number}\\.(.+)", name)
        if match is None or match[3] not in self.inner:
            return None
        return f"conv{int(match[1]) + self.shift}_block{int(match[2]) + 1}_{self.inner[match[3]]}"

    def module(self, layer: str) -> str | None:
        """Return the family's name of one of our layers, None if there is none; the inverse of `layer`."""
        for name, ours in self.outer.items():
            if ours == layer:
                return name
        match = re.fullmatch(r"conv(\d+)_block(\d+)_(.+)", layer)
        for name, end in self.inner.items():
            if match and match[3] == end:
                return f"{self.stages}{int(match[1]) - self.shift}{self.blocks}{int(match[2]) - 1}.{name}"
        return None

    @property
    def first_block(self) -> str:
        """Name of the kernel by which the family and the prefix of its names are recognized."""
        return f"{self.module('conv2_block1_1_conv')}.weight"


TORCHVISION = Layout(
    name="torchvision",
    outer={"conv1": "conv1_conv", "bn1": "conv1_bn", "fc": "predictions"},
    stages="layer",
    blocks=".",
    shift=1,
    inner={
        "conv1": "1_conv",
        "bn1": "1_bn",
        "conv2": "2_conv",
        "bn2": "2_bn",
        "conv3": "3_conv",
        "bn3": "3_bn",
        "downsample.0": "0_conv",
        "downsample.1": "0_bn",
    },
)
"""Names in torchvision and timm."""

HUGGING_FACE = Layout(
    name="hugging-face",
    outer={
        "embedder.embedder.convolution": "conv1_conv",
        "embedder.embedder.normalization": "conv1_bn",
        "classifier.1": "predictions",
    },
    stages="encoder.stages.",
    blocks=".layers.",
    shift=2,
    inner={
        "layer.0.convolution": "1_conv",
        "layer.0.normalization": "1_bn",
        "layer.1.convolution": "2_conv",
        "layer.1.normalization": "2_bn",
        "layer.2.convolution": "3_conv",
        "layer.2.normalization": "3_bn",
        "shortcut.convolution": "0_conv",
        "shortcut.normalization": "0_bn",
    },
)
"""Names in ``ResNetForImageClassification`` of transformers."""

_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
# blocks of each stage in table 1, by the number of layers

_CONV = ("weight", "bias")
_NORM = ("weight", "bias", "running_mean", "running_var")

# names of modules in a backbone; one that a ResNet does not have shows that the file is of another network
_BACKBONE_MODULES = re.compile(r"(conv|bn|norm|layer|stage|stem|downsample|embedder|encoder|attnpool)")


def is_backbone(layer: str) -> bool:
    """Return whether a layer of this name belongs to the stem or the stages, and not to a head."""
    return re.match(r"conv\d+_|post_", layer) is not None


def from_state_dict(tensors: Mapping[str, np.ndarray]) -> tuple[str, Arrays, dict[str, str]]:
    """Convert a PyTorch state dict to Keras' names and axes.

    The prefix of the first block's first kernel (``layer1.0.conv1.weight``, or Hugging Face's name of it) is dropped
    from all names, be it ``module.``, ``model.``, ``resnet.``, ``backbone.`` or another.

    Args:
        tensors: Tensors by name, of any floating-point type; ``num_batches_tracked`` (integers) are ignored.

    Returns:
        Name of the layout; float32 arrays by our layer names; and for each tensor outside the network, the reason why
        it is not used.

    Raises:
        UnfitFileError: If this is not a ResNet of bottleneck or basic blocks, or a tensor is missing or of another
            type or shape.
    """
    layout, prefix = _recognize(tensors)
    layers: dict[str, dict[str, np.ndarray]] = {}
    unused: dict[str, str] = {}
    foreign: list[str] = []
    for name, tensor in tensors.items():
        module, _, parameter = name.removeprefix(prefix).rpartition(".")
        layer = layout.layer(module)
        if parameter == "num_batches_tracked":
            continue
        if layer is not None and parameter in _NORM:
            if parameter in layers.setdefault(layer, {}):
                raise UnfitFileError(f"two tensors for {module}.{parameter}, one of them named {name}.")
            layers[layer][parameter] = tensor
        elif _BACKBONE_MODULES.match(module):
            foreign.append(name)
        else:
            unused[name] = "not part of a ResNet"
    if foreign:
        raise UnfitFileError(
            f"another network{_variant(foreign)}: a ResNet has no {', '.join(foreign[:3])} ({len(foreign)} such names)."
        )
    return layout.name, {layer: _to_keras(layer, values, layout) for layer, values in layers.items()}, unused


def to_state_dict(arrays: Arrays) -> dict[str, np.ndarray]:
    """Convert a network's weights to torchvision's names and axes; the inverse of `from_state_dict`.

    Args:
        arrays: Weights by layer name.

    Returns:
        Contiguous tensors by name, with an int64 zero for each batch norm's ``num_batches_tracked``.

    Raises:
        ValueError: If a layer has no name in torchvision's ResNet.
    """
    tensors: dict[str, np.ndarray] = {}
    for layer, values in arrays.items():
        module = TORCHVISION.module(layer)
        if module is None:
            raise ValueError(f"expected layers of torchvision's ResNet, got {layer!r}, which has no name there.")
        if layer.endswith("_bn"):
            tensors.update(zip((f"{module}.{parameter}" for parameter in _NORM), values, strict=True))
            tensors[f"{module}.num_batches_tracked"] = np.zeros((), "int64")
        else:
            kernel, *bias = values
            tensors[f"{module}.weight"] = kernel.transpose(3, 2, 0, 1) if kernel.ndim == 4 else kernel.T
            tensors.update({f"{module}.bias": value for value in bias})
    return {name: np.ascontiguousarray(tensor) if tensor.ndim else tensor for name, tensor in tensors.items()}


def count_layers(names: Iterable[str]) -> int | None:
    """Return the depth of the network with layers of these names: 50 for ResNet-50; None if they are not a ResNet's.

    Counted are the convolutions of the stem and the residuals, and the classifier, be there one or not.
    """
    layers = {name for name in names if re.fullmatch(r"conv\d+_block\d+_[123]_conv", name)}
    return len(layers) + 2 if layers else None


def describe_network(shapes: Shapes) -> str | None:
    """Return the well-known network that has layers of these names and shapes, with its mark; None if unknown."""
    if any("_preact_" in layer or layer.startswith("post_") for layer in shapes):
        return "a ResNet-V2 (batch norm before each convolution)"
    kernels = [shapes[layer][0] for layer in ("conv2_block1_1_conv", "conv2_block1_2_conv") if layer in shapes]
    if [len(kernel) for kernel in kernels] != [4, 4]:
        return None
    width, inputs = kernels[0][3], kernels[1][2]
    if 0 < inputs < width:
        return f"a ResNeXt (convolutions in {width // inputs} groups)"
    if width == 128:
        return "a Wide ResNet (128 channels inside the first block)"
    blocks = tuple(sum(f"conv{stage}_block{n}_1_conv" in shapes for n in range(1, 100)) for stage in range(2, 6))
    depth = count_layers(shapes)
    if _BLOCKS.get(depth or 0) == blocks:
        return f"a ResNet-{depth} ({blocks[2]} blocks in conv4)"
    basic = "conv2_block1_3_conv" not in shapes
    return "a network of blocks of two convolutions, as ResNet-18 and ResNet-34" if basic else None


def from_bfloat16(bits: np.ndarray) -> np.ndarray:
    """Convert bfloat16, stored as uint16, to float32: its bits are the upper half of a float32."""
    return (bits.astype("uint32") << 16).view("float32")


def _recognize(tensors: Mapping[str, np.ndarray]) -> tuple[Layout, str]:
    """Return the layout of a state dict and the prefix of its names."""
    matches = [
        (layout, name.removesuffix(layout.first_block))
        for layout in (TORCHVISION, HUGGING_FACE)
        for name in tensors
        if f".{name}".endswith(f".{layout.first_block}")
    ]
    if len(matches) > 1:
        prefixes = " and ".join(repr(prefix) for _, prefix in matches[:2])
        raise UnfitFileError(
            f"{len(matches)} networks, with the prefixes {prefixes}; save one of them to a file of its own."
        )
    if not matches:
        names = ", ".join(list(tensors)[:3]) or "none"
        raise UnfitFileError(
            f"another network{_variant(tensors)}: no {TORCHVISION.first_block} (torchvision, timm) and no "
            f"{HUGGING_FACE.first_block} (Hugging Face) among {len(tensors)} names ({names})."
        )
    return matches[0]


def _variant(names: Mapping[str, np.ndarray] | list[str]) -> str:
    """Return the variant of ResNet that has such names, after a comma; empty if unknown."""
    variants = {
        r"(^|\.)conv1\.\d\.": ", with a stem of three convolutions (ResNet-D or the like)",
        r"\.se\.": ", with squeeze and excitation",
        r"(^|\.)stages\.\d+\.blocks\.\d+\.norm1\.": ", a ResNet-V2 (batch norm before each convolution)",
    }
    return next((text for pattern, text in variants.items() if any(re.search(pattern, name) for name in names)), "")


def _to_keras(layer: str, tensors: Mapping[str, np.ndarray], layout: Layout) -> tuple[np.ndarray, ...]:
    module, is_norm = layout.module(layer), layer.endswith("_bn")
    missing = [parameter for parameter in (_NORM if is_norm else _CONV[:1]) if parameter not in tensors]
    if missing:
        raise UnfitFileError(f"a state dict without {module}.{missing[0]}.")
    values = [_float32(f"{module}.{parameter}", tensors[parameter]) for parameter in _NORM if parameter in tensors]
    if not is_norm:
        dimensions = 4 if layer.endswith("_conv") else 2
        if values[0].ndim != dimensions:
            raise UnfitFileError(f"{module}.weight of shape {values[0].shape}, not of {dimensions} dimensions.")
        values[0] = np.ascontiguousarray(values[0].transpose((2, 3, 1, 0) if dimensions == 4 else (1, 0)))
    return tuple(values)


def _float32(name: str, tensor: np.ndarray) -> np.ndarray:
    if tensor.dtype.kind != "f" and tensor.dtype.name != "bfloat16":
        raise UnfitFileError(f"{name} of type {tensor.dtype.name}, not of a floating-point type.")
    return np.asarray(tensor, dtype="float32")
