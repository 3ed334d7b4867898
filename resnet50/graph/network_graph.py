"""A network as its configuration and arrays, which folding and conversion work on. Needs no Keras."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from resnet50.weights.keras_files import CONFIG_MEMBER, read_archive, read_small
from resnet50.weights.layouts import UnfitFileError

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, eq=False)
class Graph:
    """A functional network, as Keras describes it.

    Attributes:
        config: Keras' configuration of the model: its ``layers``, each with the calls that it answers, and its outputs.
        weights: The arrays of each layer that has some, in Keras' order.
    """

    config: Mapping[str, Any]
    weights: Mapping[str, Sequence[np.ndarray]]

    @property
    def name(self) -> str:
        """The name of the model."""
        return str(self.config["name"])

    @property
    def layers(self) -> list[dict[str, Any]]:
        """The rows of the configuration, a layer before those that use its output."""
        return list(self.config["layers"])

    @property
    def outputs(self) -> list[str]:
        """Names of the layers whose outputs are those of the model."""
        return [reference[0] for reference in tensors(self.config["output_layers"])]


def graph_of(model: keras.Model) -> Graph:
    """Return the graph of a Keras model, on any backend.

    Raises:
        ValueError: If the model is not functional.
    """
    config = model.get_config()
    if "output_layers" not in config:
        raise ValueError(f"the model {model.name!r}: expected a functional model, got a {type(model).__name__}.")
    return Graph(config, {layer.name: layer.get_weights() for layer in model.layers if layer.weights})


def read_graph(path: Path, *, check: Callable[[Graph], None] = lambda graph: None) -> Graph:
    """Read the graph of a ``.keras`` file that `resnet50.weights.keras_files.check_archive` has checked.

    Args:
        path: The file.
        check: Called with the graph before its weights are read; may raise.

    Raises:
        UnfitFileError: If it holds no functional model, or weights that contradict its configuration. Damage raises the
            errors of zipfile, json, h5py and NumPy.
    """
    with zipfile.ZipFile(path) as archive:
        model = json.loads(read_small(archive, CONFIG_MEMBER))
        config = model.get("config") if isinstance(model, dict) else None
        if not isinstance(config, dict) or "output_layers" not in config:
            raise UnfitFileError("an archive of a model that is not functional.")
        check(Graph(config, {}))
        weights, _ = read_archive(archive)
    graph = Graph(config, weights)
    for row in graph.layers:
        _check_weights(row, [array.shape for array in weights.get(row["name"], [])])
    return graph


def _check_weights(row: Mapping[str, Any], shapes: Sequence[tuple[int, ...]]) -> None:
    """Refuse weights that contradict the configuration of their layer."""
    config, fits = row["config"], True
    if row["class_name"] in ("Conv2D", "Dense"):
        size, filters = (config["kernel_size"], "filters") if row["class_name"] == "Conv2D" else ((), "units")
        kernel, *bias = shapes or [()]
        fits = kernel[:-2] == tuple(size) and len(kernel) == len(size) + 2 and kernel[-1] == config[filters]
        fits = fits and bias == ([(config[filters],)] if config["use_bias"] else [])
    elif row["class_name"] == "BatchNormalization":
        fits = len(shapes) == 2 + config["scale"] + config["center"] and len(set(shapes)) == 1 and len(shapes[0]) == 1
    if not fits:
        raise UnfitFileError(f"weights of {row['name']!r} that are not those of its configuration ({shapes}).")


def references(value: Any) -> Iterator[list[Any]]:
    """Yield the references to tensors of other layers in the arguments of calls, as lists that a caller may change."""
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            yield value["config"]["keras_history"]
            return
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from references(item)


def tensors(outputs: Any) -> Iterator[list[Any]]:
    """Yield the references in the outputs of a model, which are one tensor or any structure of tensors."""
    if isinstance(outputs, dict):
        outputs = list(outputs.values())
    if len(outputs) == 3 and isinstance(outputs[0], str):
        yield outputs
    else:
        for output in outputs:
            yield from tensors(output)
