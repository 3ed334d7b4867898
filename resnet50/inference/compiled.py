"""A ``.keras`` file in ONNX Runtime, without Keras: its graph is made once, and kept in the cache."""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from resnet50._io.cache_limit import limit_cache
from resnet50._io.fetch import cache_folder
from resnet50._io.files import atomic_path, write_text
from resnet50._io.processor import processor
from resnet50._io.workers import usable_cores
from resnet50.graph.geometry import FEATURE_MAP, FeatureMap
from resnet50.inference.runtimes import Network, sha256
from resnet50.weights.keras_files import reading

CACHE_BYTES = 1 << 30
"""Most bytes of graphs that the cache keeps, some ten networks; those that were used longest ago are removed."""

_TRIED_PIXELS = 1 << 20  # a forward pass of a larger image takes gigabytes

_VERSION = 2  # of the graphs; increase it when the same file would give another one


def open_compiled(path: Path) -> Network:
    """Open a ``.keras`` file that `resnet50.weights.keras_files.check_archive` has checked.

    Where the cache cannot be written, the graph is made anew each time.

    Raises:
        resnet50.graph.onnx_graph.UnknownLayerError: If it has a layer that is not converted to ONNX.
        ValueError: If it is damaged.
        OSError: If it changes while it is opened.
    """
    import onnxruntime

    path = path.resolve()  # from where it is read again for Keras, wherever the process is then
    digest = sha256(path)
    key = [_VERSION, onnxruntime.__version__, processor(), digest]
    stored = cache_folder() / "graphs" / f"{hashlib.sha256(json.dumps(key).encode()).hexdigest()}.onnx"
    if _is_whole(stored):
        with suppress(OSError):  # a cache that is only read
            os.utime(stored)
        with suppress(Exception):  # another process has just removed it, or it is no graph: it is made anew
            return _network(_session(stored, optimized=True), path, digest)
    model = _convert(path)
    if sha256(path) != digest:
        raise OSError(f"{path}: expected a file that stays as it is while it is opened, got a change; open it again.")
    try:
        return _store(model, stored, path, digest)
    except Exception:  # the cache cannot be written, in one of many ways; or the graph contradicts itself
        with reading(path):
            return _tried(_network(_session(model.SerializeToString()), path, digest))


def _convert(path: Path) -> Any:
    """Return the ONNX graph of a file, its batch norm folded."""
    from resnet50.graph.fold import fold
    from resnet50.graph.head import find_head
    from resnet50.graph.network_graph import read_graph
    from resnet50.graph.onnx_graph import UnknownLayerError, check_layers, onnx_model

    unknown = None
    with reading(path):
        try:
            graph = fold(read_graph(path, check=check_layers))
            return onnx_model(graph, head=find_head(graph))
        except UnknownLayerError as error:  # the file is not damaged
            unknown = error
    raise unknown


def _store(model: Any, stored: Path, source: Path, digest: str) -> Network:
    """Store a graph as ONNX Runtime optimizes it for this processor, with the checksum of its bytes."""
    limit_cache(stored.parent, "*.onnx", max_bytes=CACHE_BYTES - model.ByteSize())
    for checksum in stored.parent.glob("*.crc32"):
        if not checksum.with_suffix(".onnx").exists():
            checksum.unlink(missing_ok=True)
    with atomic_path(stored) as temporary:
        temporary.write_bytes(model.SerializeToString())
        network = _tried(_network(_session(temporary, write=temporary), source, digest))
        written = _checksum(temporary)
    write_text(stored.with_suffix(".crc32"), written)
    return network


def _tried(network: Network) -> Network:
    """Return a network that has classified an image: the runtime finds some contradictions only then."""
    _, height, width, channels = network.input_shape
    if height * width <= _TRIED_PIXELS:
        network.predict_on_batch(np.zeros((1, height, width, channels), np.float32))
    return network


def _session(graph: Path | bytes, *, optimized: bool = False, write: Path | None = None) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = usable_cores()
    options.log_severity_level = 3  # errors; it warns of a machine without a GPU
    if optimized:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if write:
        options.optimized_model_filepath = str(write)
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


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


def _network(session: Any, source: Path, digest: str) -> Network:
    """Return the network of a session, with its further outputs."""
    (image,) = session.get_inputs()

    def network(output: Any, **options: Any) -> Network:
        return Network(
            lambda images: session.run([output.name], {image.name: images})[0], image.shape, output.shape, **options
        )

    probabilities, *others = session.get_outputs()
    about = session.get_modelmeta().custom_metadata_map.get(FEATURE_MAP)
    feature_map = FeatureMap.from_dict(json.loads(about)) if about else None
    outputs = {output.name: network(output) for output in others}
    return network(probabilities, outputs=outputs, feature_map=feature_map, source=source, sha256=digest)
