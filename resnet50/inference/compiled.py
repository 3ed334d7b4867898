"""A ``.keras`` file in ONNX Runtime or OpenVINO, without Keras: its graph is made once, and kept in the cache."""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from resnet50._io.cache_limit import limit_cache
from resnet50._io.fetch import cache_folder
from resnet50._io.files import atomic_path, write_text
from resnet50._io.processor import processor
from resnet50._io.workers import usable_cores
from resnet50.data.lazy_images import LazyImages
from resnet50.graph.geometry import FEATURE_MAP, FeatureMap
from resnet50.inference.runtimes import PROBABILITIES, Network, onnxruntime_networks, openvino_networks, sha256
from resnet50.weights.keras_files import reading

CACHE_BYTES = 1 << 30
"""Most bytes of graphs that the cache keeps, some ten networks; those that were used longest ago are removed."""

_TRIED_PIXELS = 1 << 20  # a forward pass of a larger image takes gigabytes

_DISTANCE = "distance_from_float32"
_COMPARED = 32  # most images that an int8 graph is compared with float32 on

_VERSION = 4  # of the graphs; increase it when the same file would give another one


def open_compiled(
    path: Path, *, precision: str = "fp32", calibration: np.ndarray | LazyImages | None = None
) -> Network:
    """Open a ``.keras`` file that `resnet50.weights.keras_files.check_archive` has checked.

    Where the cache cannot be written, the graph is made anew each time.

    Args:
        path: The file.
        precision: ``"fp32"`` or ``"int8"``, by ONNX Runtime; ``"bf16"``, by OpenVINO, which must be installed.
        calibration: For int8, images to calibrate on, RGB ``(n, height, width, 3)``, 0..255.

    Raises:
        resnet50.graph.onnx_graph.UnknownLayerError: If it has a layer that is not converted to ONNX.
        ValueError: If it is damaged, or the images do not fit the network.
        OSError: If it changes while it is opened.
    """
    keras_file = _KerasFile.at(path, precision)
    stored = keras_file.graph(calibration)
    if (network := _open_stored(stored, keras_file)) is not None:
        return network
    graph = _convert(keras_file.path, whole=precision != "fp32")
    if calibration is not None:
        graph = _quantized(graph, calibration)
    if sha256(keras_file.path) != keras_file.sha256:
        raise OSError(
            f"{keras_file.path}: expected a file that stays as it is while it is opened, got a change; open it again."
        )
    try:
        return _store(graph, stored, keras_file)
    except Exception:  # the cache cannot be written, in one of many ways; or the graph contradicts itself
        with reading(keras_file.path):
            return _tried(_network(graph.content, keras_file, apart=graph.apart))


def open_calibrated(path: Path) -> Network | None:
    """Open a ``.keras`` file in int8 as it was opened last; None where no such graph is in the cache."""
    keras_file = _KerasFile.at(path, "int8")
    networks = (_open_stored(graph, keras_file) for graph in keras_file.calibrated())
    return next((network for network in networks if network is not None), None)


@dataclass(frozen=True)
class _KerasFile:
    """A file, by its content, and the precision of its computation.

    Attributes:
        path: The file, from where it is read again for Keras, wherever the process is then.
        sha256: Its hash.
        precision: ``"fp32"``, ``"bf16"`` or ``"int8"``.
    """

    path: Path
    sha256: str
    precision: str

    @classmethod
    def at(cls, path: Path, precision: str) -> _KerasFile:
        return cls(path.resolve(), sha256(path), precision)

    def graph(self, calibration: np.ndarray | LazyImages | None) -> Path:
        """Return the place of the graph in the cache; an int8 graph has one for each choice of images."""
        images = "" if calibration is None else f"-{hashlib.sha256(np.asarray(calibration).tobytes()).hexdigest()}"
        return cache_folder() / "graphs" / f"{self._key}{images}.onnx"

    def calibrated(self) -> list[Path]:
        """Return the int8 graphs in the cache, the one that was used last first."""
        try:
            graphs = (cache_folder() / "graphs").glob(f"{self._key}-*.onnx")
            return sorted(graphs, key=os.path.getmtime, reverse=True)
        except OSError:  # another process has just removed one
            return []

    @property
    def _key(self) -> str:
        import onnxruntime

        parts = [_VERSION, onnxruntime.__version__, processor(), self.sha256, self.precision]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _open_stored(stored: Path, keras_file: _KerasFile) -> Network | None:
    """Open a graph of the cache; None where there is none, or a damaged one."""
    if not _is_whole(stored):
        return None
    with suppress(OSError):  # a cache that is only read
        os.utime(stored)
    with suppress(Exception):  # another process has just removed it, or it is no graph: it is made anew
        return _network(stored, keras_file, optimized=True)
    return None


@dataclass(frozen=True, eq=False)
class _Graph:
    """An ONNX graph that is not in the cache yet.

    Attributes:
        content: The bytes of an ONNX file.
        apart: Constants that it declares and does not hold (`resnet50.graph.onnx_graph.onnx_model`).
    """

    content: bytes
    apart: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of the file that it will be."""
        return len(self.content) + sum(array.nbytes for array in self.apart.values())


def _convert(path: Path, *, whole: bool) -> _Graph:
    """Return the ONNX graph of a file, its batch norm folded; a whole one holds all constants itself."""
    from resnet50.graph.fold import fold
    from resnet50.graph.head import find_head
    from resnet50.graph.network_graph import read_graph
    from resnet50.graph.onnx_graph import UnknownLayerError, check_layers, onnx_model

    unknown = None
    with reading(path):
        try:
            graph = fold(read_graph(path, check=check_layers))
            apart: dict[str, np.ndarray] = {}
            model = onnx_model(graph, head=find_head(graph), apart=None if whole else apart)
            return _Graph(model.SerializeToString(), apart)
        except UnknownLayerError as error:  # the file is not damaged
            unknown = error
    raise unknown


def _quantized(exact: _Graph, images: np.ndarray | LazyImages) -> _Graph:
    """Return a graph in int8, which records how far its answers for some of the images are from those of float32."""
    import onnx

    from resnet50.graph.quantize import quantize

    model = quantize(onnx.load_from_string(exact.content), images)
    some = np.asarray(images[:: -(-len(images) // _COMPARED)])

    def probabilities(content: bytes) -> np.ndarray:
        network = onnxruntime_networks(_session(content))[PROBABILITIES]
        return np.concatenate([network.predict_on_batch(image[None]) for image in some])

    differences = np.abs(probabilities(model.SerializeToString()) - probabilities(exact.content))
    entry = model.metadata_props.add()
    entry.key, entry.value = _DISTANCE, json.dumps(float(differences.max(axis=1).mean()))
    return _Graph(model.SerializeToString())


def _store(graph: _Graph, stored: Path, keras_file: _KerasFile) -> Network:
    """Store a graph with the checksum of its bytes; for ONNX Runtime, as that optimizes it for this processor."""
    limit_cache(stored.parent, "*.onnx", max_bytes=CACHE_BYTES - graph.size)
    for checksum in stored.parent.glob("*.crc32"):
        if not checksum.with_suffix(".onnx").exists():
            checksum.unlink(missing_ok=True)
    with atomic_path(stored) as temporary:
        if keras_file.precision == "bf16":  # OpenVINO writes none
            temporary.write_bytes(graph.content)
        network = _tried(_network(graph.content, keras_file, apart=graph.apart, write=temporary))
        written = _checksum(temporary)
    write_text(stored.with_suffix(".crc32"), written)
    return network


def _tried(network: Network) -> Network:
    """Return a network that has classified an image: the runtime finds some contradictions only then."""
    _, height, width, channels = network.input_shape
    if height * width <= _TRIED_PIXELS:
        network.predict_on_batch(np.zeros((1, height, width, channels), np.float32))
    return network


def _session(
    graph: Path | bytes,
    *,
    apart: Mapping[str, np.ndarray] | None = None,
    optimized: bool = False,
    write: Path | None = None,
) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = usable_cores()
    options.log_severity_level = 4  # none: errors are raised, and a machine without a GPU is no reason to warn
    if optimized:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if write:
        options.optimized_model_filepath = str(write)
    values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in (apart or {}).values()]
    if values:
        options.add_external_initializers(list(apart or {}), values)
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    session.constants = values  # it may read them at any time, and does not keep them alive itself
    return session


def _is_whole(stored: Path) -> bool:
    """Return whether a file is there and has the bytes that were written."""
    try:
        return stored.with_suffix(".crc32").read_text(encoding="utf-8").strip() == _checksum(stored)
    except (OSError, ValueError):
        return False


def _checksum(path: Path) -> str:
    checksum = 0
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            checksum = zlib.crc32(chunk, checksum)
    return f"{checksum:08x}"


def _network(graph: Path | bytes, keras_file: _KerasFile, **options: Any) -> Network:
    """Return the network of a graph, with its further outputs; the options are those of `_session`."""
    described, distance = "", ""
    if keras_file.precision == "bf16":
        networks = openvino_networks(graph.read_bytes() if isinstance(graph, Path) else graph, "bf16")
    else:
        session = _session(graph, **options)
        networks = onnxruntime_networks(session)
        recorded = session.get_modelmeta().custom_metadata_map
        described, distance = recorded.get(FEATURE_MAP, ""), recorded.get(_DISTANCE, "")
    network = networks.pop(PROBABILITIES)
    network.outputs, network.precision = networks, keras_file.precision
    network.feature_map = FeatureMap.from_dict(json.loads(described)) if described else None
    network.distance = float(json.loads(distance)) if distance else None
    network.source, network.sha256 = keras_file.path, keras_file.sha256
    return network
