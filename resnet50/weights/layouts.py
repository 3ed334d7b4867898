"""Names and axes: what each publisher calls the parts of one network, and how it lays out their numbers.

Ours are those of keras.applications: layers ``conv1_conv`` ... ``predictions``, kernels ``(height, width, in, out)``.
PyTorch has ``(out, in, height, width)``, and ``(out, in)`` where Keras' dense layer has ``(in, out)``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

Arrays = Mapping[str, tuple[np.ndarray, ...]]
"""By layer's name, its weights in Keras' order: kernel and bias, or gamma, beta, moving mean and moving variance."""

Shapes = Mapping[str, list[tuple[int, ...]]]
"""By layer's name, the shapes of its weights."""

LIMIT = 1 << 30
"""Most bytes of a file of weights, and of what it unpacks to; a ResNet-50 with its optimizer has 0.4 GB."""


class UnfitFileError(ValueError):
    """What a file holds is not what is needed; the text goes on where "found" ends."""


@dataclass(frozen=True)
class Layout:
    """The names in one family of PyTorch state dicts.

    Attributes:
        name: The family.
        whole: What stands outside the stages, by the family's name, with our layer for it.
        stages: What stands before a stage's number.
        blocks: What stands between the numbers of stage and block.
        shift: What to add to the family's number of a stage to get ours.
        splits: What a block is made of, by the family's name, with the end of our layer's name.
    """

    name: str
    whole: Mapping[str, str]
    stages: str
    blocks: str
    shift: int
    parts: Mapping[str, str]

    def layer(self, name: str) -> str | None:
        """Return our name of a module, such as ``conv2_block1_0_bn`` for ``layer1.0.downsample.1``, if it has one."""
        if name in self.whole:
            return self.whole[name]
        number = r"(0|[1-9]\d?)"
        match = re.fullmatch(f"{re.escape(self.stages)}{number}{re.escape(self.blocks)}{number}\\.(.+)", name)
        if match is None or match[3] not in self.parts:
            return None
        return f"conv{int(match[1]) + self.shift}_block{int(match[2]) + 1}_{self.parts[match[3]]}"

    def module(self, layer: str) -> str | None:
        """Return the family's name of one of our layers, if it has one; the inverse of `layer`."""
        for name, ours in self.whole.items():
            if ours == layer:
                return name
        match = re.fullmatch(r"conv(\d+)_block(\d+)_(.+)", layer)
        for part, end in self.parts.items():
            if match and match[3] == end:
                return f"{self.stages}{int(match[1]) - self.shift}{self.blocks}{int(match[2]) - 1}.{part}"
        return None

    @property
    def first_block(self) -> str:
        """The kernel by which the family, and whatever stands before its names, is recognized."""
        return f"{self.module('conv2_block1_1_conv')}.weight"


TORCHVISION = Layout(
    name="torchvision",
    whole={"conv1": "conv1_conv", "bn1": "conv1_bn", "fc": "predictions"},
    stages="layer",
    blocks=".",
    shift=1,
    parts={
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
"""torchvision and timm."""

HUGGING_FACE = Layout(
    name="hugging-face",
    whole={
        "embedder.embedder.convolution": "conv1_conv",
        "embedder.embedder.normalization": "conv1_bn",
        "classifier.1": "predictions",
    },
    stages="encoder.stages.",
    blocks=".layers.",
    shift=2,
    parts={
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
"""``ResNetForImageClassification`` of transformers."""

_CONV = ("weight", "bias")
_NORM = ("weight", "bias", "running_mean", "running_var")

# Modules of these names belong to a network's backbone; one that a ResNet-50 does not have makes it another network.
_BACKBONE_MODULES = re.compile(r"(conv|bn|norm|layer|stage|stem|downsample|embedder|encoder|attnpool)")


def is_backbone(layer: str) -> bool:
    """Tell whether a layer of this name belongs to the stem or the stages, and not to a head."""
    return re.match(r"conv\d+_|post_", layer) is not None


def from_state_dict(tensors: Mapping[str, np.ndarray]) -> tuple[str, Arrays, dict[str, str]]:
    """Bring a PyTorch state dict into Keras' names and axes.

    Whatever stands before the first block's first kernel (``layer1.0.conv1.weight``, or Hugging Face's name of it) is
    dropped from every name that starts so: ``module.``, ``model.``, ``resnet.``, ``backbone.`` and what else there is.

    Args:
        tensors: By name, float of any width; integer ``num_batches_tracked`` are passed over.

    Returns:
        Name of the layout; float32 arrays by our layer's name; and for each tensor that is no part of the network,
        the reason why it is not used.

    Raises:
        UnfitFileError: If it is no ResNet of bottleneck or basic blocks, or a part is missing or of another kind.
    """
    layout, prefix = _recognize(tensors)
    found: dict[str, dict[str, np.ndarray]] = {}
    unused: dict[str, str] = {}
    strange: list[str] = []
    for name, tensor in tensors.items():
        module, _, kind = name.removeprefix(prefix).rpartition(".")
        layer = layout.layer(module)
        if kind == "num_batches_tracked":
            continue
        if layer is not None and kind in _NORM:
            if kind in found.setdefault(layer, {}):
                raise UnfitFileError(f"{module}.{kind} twice, once of them as {name}.")
            found[layer][kind] = tensor
        elif _BACKBONE_MODULES.match(module):
            strange.append(name)
        else:
            unused[name] = "no part of a ResNet-50"
    if strange:
        raise UnfitFileError(
            f"another network{_variant(strange)}: ResNet-50 has no {', '.join(strange[:3])} "
            f"({len(strange)} such names)."
        )
    return layout.name, {layer: _to_keras(layer, parts, layout) for layer, parts in found.items()}, unused


def to_state_dict(arrays: Arrays) -> dict[str, np.ndarray]:
    """Bring a network's weights into torchvision's names and axes; the inverse of `from_state_dict`.

    Args:
        arrays: By layer's name.

    Returns:
        Contiguous tensors by name, with an int64 zero for each batch norm's ``num_batches_tracked``.

    Raises:
        ValueError: If a layer has no name in torchvision's ResNet.
    """
    tensors: dict[str, np.ndarray] = {}
    for layer, values in arrays.items():
        module = TORCHVISION.module(layer)
        if module is None:
            raise ValueError(f"layer {layer} has no name in torchvision's ResNet.")
        if layer.endswith("_bn"):
            tensors.update(zip((f"{module}.{kind}" for kind in _NORM), values, strict=True))
            tensors[f"{module}.num_batches_tracked"] = np.zeros((), "int64")
        else:
            kernel, *bias = values
            tensors[f"{module}.weight"] = kernel.transpose(3, 2, 0, 1) if kernel.ndim == 4 else kernel.T
            tensors.update({f"{module}.bias": value for value in bias})
    return {name: np.ascontiguousarray(tensor) if tensor.ndim else tensor for name, tensor in tensors.items()}


def describe_network(shapes: Shapes) -> str | None:
    """Say in a few words which well-known network has layers of these shapes, as far as names and shapes tell."""
    if any("_preact_" in layer or layer.startswith("post_") for layer in shapes):
        return "a ResNet-V2 (batch norm before each convolution)"
    if "conv2_block1_2_conv" in shapes and "conv2_block1_3_conv" not in shapes:
        return "a ResNet-18 or ResNet-34 (blocks of two convolutions)"
    kernels = [shapes[layer][0] for layer in ("conv2_block1_1_conv", "conv2_block1_2_conv") if layer in shapes]
    if [len(kernel) for kernel in kernels] != [4, 4]:
        return None
    width, inputs = kernels[0][3], kernels[1][2]
    if 0 < inputs < width:
        return f"a ResNeXt (convolutions in {width // inputs} groups)"
    if width == 128:
        return "a Wide ResNet (128 channels inside the first block)"
    blocks = [sum(f"conv{stage}_block{n}_1_conv" in shapes for n in range(1, 100)) for stage in range(2, 6)]
    if blocks == [3, 4, 23, 3]:
        return "a ResNet-101 (23 blocks in conv4)"
    if blocks == [3, 8, 36, 3]:
        return "a ResNet-152 (36 blocks in conv4)"
    return "a ResNet-50" if blocks == [3, 4, 6, 3] else None


def from_bfloat16(bits: np.ndarray) -> np.ndarray:
    """Widen bfloat16, given as uint16 (NumPy has no such type), to float32: the upper half of the same number."""
    return (bits.astype("uint32") << 16).view("float32")


def _recognize(tensors: Mapping[str, np.ndarray]) -> tuple[Layout, str]:
    """Return the layout and the prefix of the names of the network in it."""
    found = [
        (layout, name.removesuffix(layout.first_block))
        for layout in (TORCHVISION, HUGGING_FACE)
        for name in tensors
        if f".{name}".endswith(f".{layout.first_block}")
    ]
    if len(found) > 1:
        prefixes = " and ".join(repr(prefix) for _, prefix in found[:2])
        raise UnfitFileError(f"{len(found)} networks, under {prefixes}; write one of them into a file of its own.")
    if not found:
        names = ", ".join(list(tensors)[:3]) or "none"
        raise UnfitFileError(
            f"another network{_variant(tensors)}: no {TORCHVISION.first_block} (torchvision, timm) and no "
            f"{HUGGING_FACE.first_block} (Hugging Face) among {len(tensors)} names ({names})."
        )
    return found[0]


def _variant(names: Mapping[str, np.ndarray] | list[str]) -> str:
    """Name the kin of ResNet-50 whose parts have other names, with a comma before."""
    signs = {
        r"(^|\.)conv1\.\d\.": ", with a stem of three convolutions (ResNet-D or the like)",
        r"\.se\.": ", with squeeze and excitation",
        r"(^|\.)stages\.\d+\.blocks\.\d+\.norm1\.": ", a ResNet-V2 (batch norm before each convolution)",
    }
    return next((text for sign, text in signs.items() if any(re.search(sign, name) for name in names)), "")


def _to_keras(layer: str, parts: Mapping[str, np.ndarray], layout: Layout) -> tuple[np.ndarray, ...]:
    needed = _NORM if layer.endswith("_bn") else _CONV[:1]
    missing = [kind for kind in needed if kind not in parts]
    if missing:
        raise UnfitFileError(f"a state dict without {layout.module(layer)}.{missing[0]}, which its other parts need.")
    values = [_float32(f"{layout.module(layer)}.{kind}", parts[kind]) for kind in _NORM if kind in parts]
    if needed is not _NORM:
        dimensions = 4 if layer.endswith("_conv") else 2
        if values[0].ndim != dimensions:
            shape = values[0].shape
            raise UnfitFileError(f"{layout.module(layer)}.weight of shape {shape}, not of {dimensions} dimensions.")
        values[0] = np.ascontiguousarray(values[0].transpose((2, 3, 1, 0) if dimensions == 4 else (1, 0)))
    return tuple(values)


def _float32(name: str, tensor: np.ndarray) -> np.ndarray:
    if tensor.dtype.kind != "f" and tensor.dtype.name != "bfloat16":
        raise UnfitFileError(f"{name} of type {tensor.dtype.name}, not of floating-point numbers.")
    return np.asarray(tensor, dtype="float32")
