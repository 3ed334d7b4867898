"""Make golden.npz: what PyTorch's ResNets answer under weights and images that NumPy draws from a seed.

Run by hand, from anywhere, where these are installed (the versions that made the file are in it, too)::

    pip install torch==2.13.0 transformers==5.23.0 safetensors pillow
    pip install --no-deps torchvision==0.28.0 timm==1.0.31
    python tests/weights/make_golden.py

The upper half needs NumPy alone; test_parity.py draws the same weights and images from it. The lower half runs
transformers', torchvision's and timm's network in float64, so that the file holds what the weights mean and no rounding
of one machine, and writes nothing unless the three agree. ResNet-50 comes first, at all sizes; golden_depths.npz holds
the others at one.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

GOLDEN = Path(__file__).with_name("golden.npz")
GOLDEN_DEPTHS = Path(__file__).with_name("golden_depths.npz")
DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
SIZE_OF_DEPTHS = "97x131"
SEED = 50
SIZES = {"224x224": (224, 224), "97x131": (97, 131), "64x64": (64, 64)}
IMAGES = 2
SAMPLES = 64

# ----------------------------------------------------------------------------------------------- weights and images


def state_dict(depth: int = 50) -> dict[str, np.ndarray]:
    """Draw every array of a ResNet in torchvision's names and order; no number but the seed decides them."""
    arrays = _unit("conv1", "bn1", (64, 3, 7, 7))
    channels, basic = 64, depth < 50
    for stage, (blocks, width) in enumerate(zip(DEPTHS[depth], (64, 128, 256, 512), strict=True), start=1):
        wide = width if basic else 4 * width
        kernels = [(width, 3), (width, 3)] if basic else [(width, 1), (width, 3), (wide, 1)]
        for block in range(blocks):
            here = f"layer{stage}.{block}"
            entering = channels
            for number, (filters, side) in enumerate(kernels, start=1):
                arrays |= _unit(f"{here}.conv{number}", f"{here}.bn{number}", (filters, entering, side, side))
                entering = filters
            if block == 0 and not (basic and stage == 1):
                arrays |= _unit(f"{here}.downsample.0", f"{here}.downsample.1", (wide, channels, 1, 1))
            channels = wide
    arrays["fc.weight"] = _uniform("fc.weight", (1000, channels), -0.04, 0.04)
    arrays["fc.bias"] = _uniform("fc.bias", (1000,), -0.3, 0.3)
    return arrays


def hugging_face(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the same arrays under the names that transformers gives them."""
    return {_hugging_face_name(name): array for name, array in arrays.items()}


def images() -> dict[str, np.ndarray]:
    """Draw raw RGB images, ``(2, height, width, 3)``, 0..255, uint8: colored squares under noise."""
    drawn = {}
    for size, (height, width) in SIZES.items():
        rng = np.random.default_rng([SEED, height, width])
        squares = rng.integers(0, 192, (IMAGES, height // 16 + 1, width // 16 + 1, 3))
        noise = rng.integers(0, 64, (IMAGES, height, width, 3))
        drawn[size] = (squares.repeat(16, axis=1).repeat(16, axis=2)[:, :height, :width] + noise).astype("uint8")
    return drawn


def digest(arrays: dict[str, np.ndarray]) -> str:
    """Return one hash over all arrays, to tell another stream of random numbers from another network."""
    sums = hashlib.sha256()
    for name, array in arrays.items():
        sums.update(f"{name} {array.dtype} {array.shape}".encode())
        sums.update(np.ascontiguousarray(array))
    return sums.hexdigest()


def samples(feature_map: np.ndarray) -> np.ndarray:
    """Pick values of each image all over its feature map, ``(batch, ...)`` with channels last, ``(batch, 64)``."""
    flat = feature_map.reshape(len(feature_map), -1)
    return flat[:, np.arange(SAMPLES) * 9973 % flat.shape[1]]  # a prime, so that channels and places both change


def _unit(conv: str, norm: str, shape: tuple[int, int, int, int]) -> dict[str, np.ndarray]:
    """Draw a convolution and its batch norm that keep the magnitude of their input.

    Nearly half of the variances are smaller than the epsilon that is added to them: with all of them near one, nobody
    would notice another epsilon. No filter answers to a constant: with random filters that do, all images look alike
    after fifty layers.
    """
    out, fan_in = shape[0], shape[1] * shape[2] * shape[3]
    variance = _uniform(f"{norm}.running_var", (out,), 0.05, 1)
    for _ in range(4):
        variance *= variance
    deviation = np.sqrt(variance + np.float32(1e-5))
    kernel = _uniform(f"{conv}.weight", shape, -1, 1)
    kernel -= kernel.mean(axis=(1, 2, 3), keepdims=True, dtype="float64").astype("float32")  # a sum without rounding
    kernel *= (np.sqrt(np.float32(4.5 / fan_in)) * deviation)[:, None, None, None]
    return {
        f"{conv}.weight": kernel,
        f"{norm}.weight": _uniform(f"{norm}.weight", (out,), 0.5, 1.5),
        f"{norm}.bias": _uniform(f"{norm}.bias", (out,), -0.3, 0.3),
        f"{norm}.running_mean": _uniform(f"{norm}.running_mean", (out,), -0.3, 0.3) * deviation,
        f"{norm}.running_var": variance,
        f"{norm}.num_batches_tracked": np.asarray(1 + zlib.crc32(norm.encode()) % 1_000_000, "int64"),
    }


def _uniform(name: str, shape: tuple[int, ...], low: float, high: float) -> np.ndarray:
    """Draw from a generator of this array's own. Sums and products only: every machine rounds them alike."""
    rng = np.random.default_rng([SEED, zlib.crc32(name.encode())])
    return rng.random(shape, dtype="float32") * np.float32(high - low) + np.float32(low)


def _hugging_face_name(name: str) -> str:
    head, _, kind = name.rpartition(".")
    if head == "fc":
        return f"classifier.1.{kind}"
    if head in ("conv1", "bn1"):
        return f"resnet.embedder.embedder.{_PARTS[head[:-1]]}.{kind}"
    stage, block, part, number = re.fullmatch(r"layer(\d)\.(\d+)\.(conv|bn|downsample\.)(\d)", head).groups()
    here = f"resnet.encoder.stages.{int(stage) - 1}.layers.{block}"
    if part == "downsample.":
        return f"{here}.shortcut.{('convolution', 'normalization')[int(number)]}.{kind}"
    return f"{here}.layer.{int(number) - 1}.{_PARTS[part]}.{kind}"


_PARTS = {"conv": "convolution", "bn": "normalization"}

# ------------------------------------------------------------------------------------------------- PyTorch's networks


def torchvision_network(
    arrays: dict[str, np.ndarray], depth: int = 50
) -> tuple[torch.nn.Module, list[torch.nn.Module]]:
    """Return torchvision's ResNet with these weights, and the modules after which the stages end."""
    network = getattr(import_torchvision().models, f"resnet{depth}")(weights=None)
    stages = [network.maxpool, network.layer1, network.layer2, network.layer3, network.layer4, network.avgpool]
    return _filled(network, arrays), stages


def timm_network(arrays: dict[str, np.ndarray], depth: int = 50) -> tuple[torch.nn.Module, list[torch.nn.Module]]:
    """Return timm's ResNet with these weights, and the modules after which the stages end."""
    import_torchvision()  # timm imports it
    import timm

    network = timm.create_model(f"resnet{depth}", pretrained=False)
    stages = [network.maxpool, network.layer1, network.layer2, network.layer3, network.layer4, network.global_pool]
    return _filled(network, arrays), stages


def transformers_network(
    arrays: dict[str, np.ndarray], depth: int = 50
) -> tuple[torch.nn.Module, list[torch.nn.Module]]:
    """Return transformers' ResNet with these weights, and the modules after which the stages end."""
    import_torchvision()  # transformers imports it where it is installed
    import transformers

    basic = {"layer_type": "basic", "hidden_sizes": [64, 128, 256, 512]} if depth < 50 else {}
    config = transformers.ResNetConfig(num_labels=1000, depths=list(DEPTHS[depth]), **basic)
    network = transformers.ResNetForImageClassification(config)
    body = network.resnet
    return _filled(network, hugging_face(arrays)), [body.embedder, *body.encoder.stages, body.pooler]


NETWORKS = {"transformers": transformers_network, "torchvision": torchvision_network, "timm": timm_network}


def import_torchvision():
    """Import torchvision, also beside a PyTorch that its compiled operators do not fit; ResNet-50 uses none of them."""
    import sys

    import torch

    if "torchvision" not in sys.modules and not hasattr(torch.ops.torchvision, "nms"):
        _OPERATORS.append(torch.library.Library("torchvision", "FRAGMENT"))
        for name in ("nms", "qnms"):
            _OPERATORS[0].define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import torchvision

    return torchvision


_OPERATORS: list[torch.library.Library] = []  # they last as long as the library object


def run(
    network: torch.nn.Module, stages: list[torch.nn.Module], pixels: np.ndarray, dtype: str
) -> tuple[list[np.ndarray], np.ndarray]:
    """Normalize raw RGB as the three publishers do, run, and return every stage's end (channels last) and logits."""
    import torch

    network.to(getattr(torch, dtype)).eval()
    ends = {}

    def keep(module: torch.nn.Module, _: tuple, output: object) -> None:
        ends[module] = output

    hooks = [stage.register_forward_hook(keep) for stage in stages]
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2).to(getattr(torch, dtype)) / 255
    mean = torch.tensor([0.485, 0.456, 0.406], dtype=x.dtype).view(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225], dtype=x.dtype).view(3, 1, 1)
    with torch.no_grad():
        logits = network((x - mean) / std)
    for hook in hooks:
        hook.remove()
    maps = [ends[stage].numpy() for stage in stages]
    maps = [m.transpose(0, 2, 3, 1) if m.ndim == 4 else m for m in maps]
    return maps, getattr(logits, "logits", logits).numpy()


def _filled(network: torch.nn.Module, arrays: dict[str, np.ndarray]) -> torch.nn.Module:
    import torch

    network.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}, strict=True)
    return network


def main() -> None:
    """Run the three networks and write the file, if they agree."""
    from importlib.metadata import version

    arrays, drawn = state_dict(), images()
    golden = {"digest": digest(arrays | drawn)}
    golden["made_with"] = ", ".join(f"{name} {version(name)}" for name in ("numpy", "torch", *NETWORKS))
    networks = {name: build(arrays) for name, build in NETWORKS.items()}
    for size, pixels in drawn.items():
        maps, logits = run(*networks["transformers"], pixels, "float64")
        for name in ("torchvision", "timm"):
            other = run(*networks[name], pixels, "float64")[1]
            np.testing.assert_allclose(other, logits, rtol=0, atol=1e-12 * np.abs(logits).max(), err_msg=name)
        golden[f"{size} logits"] = logits.astype("float32")
        golden[f"{size} means"] = np.array([m.mean() for m in maps])
        golden[f"{size} samples"] = np.array([samples(m) for m in maps], "float32")
    np.savez_compressed(GOLDEN, **golden)
    write_depths(drawn[SIZE_OF_DEPTHS])


def write_depths(pixels: np.ndarray) -> None:
    """Run the networks of the other depths and write their file, if they agree."""
    from importlib.metadata import version

    golden: dict[str, object] = {"made_with": ", ".join(f"{name} {version(name)}" for name in ("torch", *NETWORKS))}
    for depth in DEPTHS:
        if depth == 50:
            continue
        arrays = state_dict(depth)
        maps, logits = run(*NETWORKS["torchvision"](arrays, depth), pixels, "float64")
        for name in ("timm", "transformers"):
            other = run(*NETWORKS[name](arrays, depth), pixels, "float64")[1]
            np.testing.assert_allclose(other, logits, rtol=0, atol=1e-12 * np.abs(logits).max(), err_msg=name)
        golden[f"{depth} digest"] = digest(arrays)
        golden[f"{depth} logits"] = logits.astype("float32")
        golden[f"{depth} means"] = np.array([m.mean() for m in maps])
        golden[f"{depth} samples"] = np.array([samples(m) for m in maps], "float32")
    np.savez_compressed(GOLDEN_DEPTHS, **golden)


if __name__ == "__main__":
    main()
