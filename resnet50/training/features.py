"""Features for the phases of a training: what frozen layers compute is computed once, and stored.

A phase that trains the head alone, or the last stages, needs no more of the layers below than their output. It is
computed by a copy with batch norm folded, in the precision of the run, and lies in the folder ``features`` of the
cache, a file for each version of each split.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

from resnet50._io.cache_limit import limit_cache
from resnet50._io.fetch import Progress, cache_folder
from resnet50._io.files import atomic_path, check_room
from resnet50._io.seal import check_seal, seal
from resnet50._io.text import printable
from resnet50._io.workers import in_order
from resnet50.data.batches import Batches
from resnet50.data.cache import unwritable_reported
from resnet50.graph.fold import fold
from resnet50.graph.fold_model import fold_batch_norm
from resnet50.graph.network_graph import graph_of
from resnet50.graph.onnx_graph import UnknownLayerError, onnx_model
from resnet50.inference.runtimes import Network, open_graph
from resnet50.training.accelerator import find_accelerator
from resnet50.training.environment import Environment, describe_environment
from resnet50.training.layer_groups import HEAD, layer_groups
from resnet50.training.phases import LinearProbe, Phase
from resnet50.training.recipe import Recipe

MOST_BYTES = 2 << 30
"""Most bytes of features that are stored for a phase; above it, the frozen layers are computed in every epoch."""

CACHE_BYTES = 8 << 30
"""Most bytes of features that the cache keeps; for new ones, those that were used longest ago are removed."""

_VERSION = 3  # of the files; increase it when the same key would mean other numbers
_BATCH = 32  # images in a forward pass


def versions(recipe: Recipe, phase: Phase | LinearProbe) -> int:
    """Return the number of versions of each image that a phase trains on; 0 if every epoch has new ones."""
    return phase.views or (0 if recipe.augmentation.changes else 1)


def why_not_stored(recipe: Recipe, phase: Phase | LinearProbe, network: keras.Model, images: int) -> str:
    """Return why a phase cannot train on stored features; "" if it can.

    Args:
        recipe: The recipe.
        phase: One of its phases.
        network: The flat network.
        images: Number of images that are trained on.
    """
    if phase.trainable == "all":
        return "all layers are trained"
    if recipe.mixup or recipe.cutmix:
        return "mixup and cutmix mix images before the network sees them"
    if not (count := versions(recipe, phase)):
        return "every epoch changes the images anew (views is 0)"
    size = count * images * _bytes(network.get_layer(boundary(network, phase)).output)
    if size > MOST_BYTES:
        return f"they would take {size / 1e9:.1f} GB, and at most {MOST_BYTES / 1e9:.1f} GB are stored"
    return ""


def boundary(network: keras.Model, phase: Phase | LinearProbe) -> str:
    """Return the name of the layer whose output a phase starts from: the last one below all that it trains.

    A global average pooling above it counts to what is frozen: its output is much smaller.
    """
    groups = layer_groups(network)
    names = list(groups)
    below = groups[names[names.index(phase.trainable) - 1]][-1]
    above = [node.operation for node in below._outbound_nodes if node.operation in network.layers]
    pooled = phase.trainable == HEAD and len(above) == 1 and isinstance(above[0], layers.GlobalAveragePooling2D)
    return str(above[0].name if pooled else below.name)


def upper_part(network: keras.Model, name: str) -> keras.Model:
    """Return the part of a network above a layer, which shares its layers and weights."""
    return keras.Model(network.get_layer(name).output, network.output, name=f"{network.name}_above_{name}")


class FrozenPart:
    """The part of a network up to a layer, with the weights that it has now, and what it computes.

    Args:
        network: Flat float32 network.
        name: Name of the layer.
        environment: Backend, versions and machine of the run: its features are computed by no others.
        precision: ``"float32"`` or ``"bfloat16"``.

    Raises:
        ValueError: If a weight is NaN or infinite.

    Attributes:
        seconds_per_image: How long it takes to compute the features of an image; None before any are computed.
    """

    def __init__(self, network: keras.Model, name: str, *, environment: Environment, precision: str) -> None:
        self.name, self.precision, self._computed_by = name, precision, _what_rounds(environment)
        self.seconds_per_image: float | None = None
        part = keras.Model(network.input, network.get_layer(name).output, name="frozen")
        self._key = hashlib.sha256(json.dumps([_VERSION, name, precision, self._computed_by]).encode())
        self._key.update(_describe(part).encode())
        for weight in part.weights:
            values = np.ascontiguousarray(keras.ops.convert_to_numpy(weight.value))
            if not np.isfinite(values).all():  # a ReLU hides what is no number
                raise ValueError(f"{weight.path}: expected numbers as weights, got NaN or infinity; they are damaged.")
            self._key.update(values.data)
        self._shape = part.output_shape[1:]
        self._part = _open(part, precision)

    @property
    def is_here(self) -> bool:
        """Whether this process computes with the backend, versions, processor, threads and accelerator of the run."""
        return _what_rounds(describe_environment()) == self._computed_by

    def features(self, batches: Batches, version: int = 0, *, progress: Progress | None = None) -> np.ndarray:
        """Return the features of all images of a dataset, in its order.

        Args:
            batches: The dataset, and the changes that make its versions.
            version: Which version of the images.
            progress: Called with the images done and their number, unless the features are stored already.

        Returns:
            Vectors as float32 ``(n, d)``, feature maps as float16 ``(n, height, width, channels)``, read-only, in a
            file of the cache.

        Raises:
            OSError: If they cannot be stored.
            ValueError: If one is NaN or infinite, or they are not stored and another environment than the run's would
                have to compute them.
        """
        batches.epoch = version
        path = cache_folder() / "features" / f"{self._digest(batches)}.npy"
        stored = _read(path)
        if stored is None:
            if not self.is_here:
                raise ValueError(
                    f"expected the versions and the machine that computed the run's other features of "
                    f"{self.name} ({_words(self._computed_by)}), got {_words(_what_rounds(describe_environment()))}; "
                    "resume the run where it was started, or start a new one."
                )
            shape = (len(batches.dataset), *self._shape)
            dtype = np.float32 if len(shape) == 2 else np.float16
            size = int(np.prod(shape)) * np.dtype(dtype).itemsize
            with unwritable_reported(path.parent):
                limit_cache(path.parent, "*.npy", max_bytes=CACHE_BYTES - size)
                check_room(path.parent, size, "features")
                with atomic_path(path) as temporary:
                    file: Any = np.lib.format.open_memmap(temporary, "w+", dtype, shape)
                    self._fill(file, batches, progress)
                    file.flush()
                    del file  # Windows seals no file that is mapped
                    seal(temporary)
            stored = np.load(path, mmap_mode="r")
        return stored

    def _fill(self, rows: np.ndarray, batches: Batches, progress: Progress | None) -> None:
        total = len(batches.dataset)
        blocks = [np.arange(start, min(start + _BATCH, total)) for start in range(0, total, _BATCH)]
        began = 0.0
        for block, images in zip(blocks, in_order(batches.versions, blocks), strict=True):
            missing = min(_BATCH, total) - len(block)  # a backend compiles the network for each shape
            padded = np.pad(images, [(0, missing), (0, 0), (0, 0), (0, 0)]) if missing else images
            computed = np.asarray(self._part.predict_on_batch(padded))[: len(block)]
            with np.errstate(over="ignore"):  # the next line tells
                computed = computed.astype(rows.dtype)
            if not np.isfinite(computed).all():
                raise ValueError(
                    f"expected numbers as features of {self.name}, got NaN or infinity; the network's weights are far "
                    "too large."
                )
            rows[block[0] : block[-1] + 1] = computed
            if progress:
                progress(int(block[-1]) + 1, total)
            if began and len(block) == _BATCH:
                self.seconds_per_image = (time.perf_counter() - began) / (len(block) + block[0] - _BATCH)
            began = began or time.perf_counter()  # after the first, in which a backend compiles the network

    def _digest(self, batches: Batches) -> str:
        digest, version = self._key.copy(), batches.version
        digest.update(batches.dataset.fingerprint.encode())
        if version is not None:
            digest.update(repr((batches.seed, version, batches.augmentation, batches.resize)).encode())
        return digest.hexdigest()


def _open(part: keras.Model, precision: str) -> keras.Model | Network:
    """Return what computes a network with its batch norm folded.

    For vectors in float32 it is ONNX Runtime on processors, where it is faster and compiles nothing.
    """
    if precision == "float32" and len(part.output_shape) == 2 and find_accelerator() is None:
        with suppress(UnknownLayerError):
            return open_graph(onnx_model(fold(graph_of(part))).SerializeToString())
    return fold_batch_norm(part, precision=precision)


def _what_rounds(environment: Environment) -> dict[str, Any]:
    """Return what decides how the features of an environment are rounded."""
    machine = environment["machine"]
    packages = ("keras", environment["backend"], "onnxruntime", "pillow")
    versions = {name: environment["versions"].get(name) for name in packages}
    device: dict[str, Any] = {
        name: machine[name] for name in ("processor", "threads", "accelerator") if name in machine
    }
    return {**versions, **device}


def _words(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {printable(value)}" for name, value in values.items())


def _describe(part: keras.Model) -> str:
    """Return the layers of a network as text, which stand for their names: Keras numbers some within a process."""
    config = part.get_config()
    positions = {row["name"]: f'"{position}"' for position, row in enumerate(config["layers"])}
    text = json.dumps(config, sort_keys=True, default=str)
    return re.sub('"([^"]*)"', lambda found: positions.get(found[1], found[0]), text)


def _bytes(output: keras.KerasTensor) -> int:
    """Return the bytes of the features of an image."""
    return int(np.prod(output.shape[1:])) * (4 if len(output.shape) == 2 else 2)


def _read(path: Path) -> np.ndarray | None:
    """Open stored features; None if they are not there or damaged."""
    with suppress(OSError, ValueError):
        if check_seal(path):
            rows = np.asanyarray(np.load(path, mmap_mode="r", allow_pickle=False))
            with suppress(OSError):  # a cache that is only read
                os.utime(path)  # tells when it was used, by which the cache is kept small
            return rows
    return None
