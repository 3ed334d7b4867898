"""Reading Keras' own files of weights: all of them fit, or nothing is changed."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np

from resnet50.files import open_h5

_NEEDED = "a file of Keras weights (.h5, .weights.h5 or .keras)"


def load_weights(model: keras.Model, path: str | os.PathLike[str]) -> None:
    """Load a whole network's weights. Either every weight fits, or the model stays as it was.

    Legacy ``.h5`` files, such as those of keras.applications, are read by layer name; ``.weights.h5`` and ``.keras``
    files by the structure that Keras wrote.

    Args:
        model: Any Keras model; changed in place.
        path: The file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no file of Keras weights, or they belong to another network; names and shapes are listed.
    """
    path = Path(path)
    if path.suffix not in (".h5", ".keras"):
        state = "such a file" if path.exists() else "nothing of that name"
        error = ValueError if path.exists() or not path.suffix else FileNotFoundError
        raise error(f"{path}: needed None or {_NEEDED}, found {state}.")
    if path.suffix == ".keras":
        if not path.is_file():
            raise FileNotFoundError(f"{path}: needed {_NEEDED}, found nothing there.")
        if not zipfile.is_zipfile(path):
            raise ValueError(f"{path}: needed {_NEEDED}, found a file that is no Keras archive; fetch it again.")
        _load_structural(model, path)
        return
    with open_h5(path, needed=_NEEDED) as file:
        root = file.get("model_weights", file)
        arrays = _read_legacy(root) if "layer_names" in root.attrs else None
    if arrays is None:
        _load_structural(model, path)
    else:
        _assign_by_name(model, arrays, path)


def _read_legacy(root: h5py.Group) -> dict[str, list[np.ndarray]]:
    """Return the arrays of every layer that has any, by layer name, in the order that Keras saved them in."""
    arrays = {}
    for layer in root.attrs["layer_names"]:
        group = root[layer]
        values = [group[name][()] for name in group.attrs["weight_names"]]
        if values:
            arrays[layer if isinstance(layer, str) else layer.decode()] = values
    return arrays


def _assign_by_name(model: keras.Model, arrays: dict[str, list[np.ndarray]], path: Path) -> None:
    wanted = {layer.name: [tuple(w.shape) for w in layer.weights] for layer in model.layers if layer.weights}
    found = {name: [value.shape for value in values] for name, values in arrays.items()}
    if wanted != found:
        differing = [name for name in {**wanted, **found} if wanted.get(name) != found.get(name)]
        examples = "; ".join(f"{n}: needed {wanted.get(n)}, found {found.get(n)}" for n in differing[:3])
        raise ValueError(f"{path}: belongs to another network, {len(differing)} layers differ ({examples}).")
    for layer in model.layers:
        if layer.weights:
            layer.set_weights(arrays[layer.name])


def _load_structural(model: keras.Model, path: Path) -> None:
    before = model.get_weights()
    try:
        model.load_weights(path)
    except Exception as error:  # Keras raises many kinds, some after it has changed half of the model
        model.set_weights(before)
        reason = " ".join(str(error).split())[:300]
        raise ValueError(f"{path}: does not hold weights of this network ({reason}).") from error
