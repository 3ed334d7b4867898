"""Reading Keras' own files of weights: all of them fit, or nothing is changed."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import keras
import numpy as np

from resnet50.files import open_h5

_NEEDED = "a file of Keras weights (.h5, .weights.h5 or .keras)"

# So keras-applications 1.0 called its classifier when it published the ImageNet files; Keras loads them by order.
_FORMER_NAMES = {"probs": "predictions"}

# Keras' order of a layer's weights; batch norm's four have the same shape, so their names alone tell them apart.
_ORDER = ("kernel", "gamma", "bias", "beta", "moving_mean", "moving_variance")


def load_weights(model: keras.Model, path: str | os.PathLike[str]) -> None:
    """Load a whole network's weights. Either every weight fits, or the model stays as it was.

    Weights go to the layer of their name, whatever the order in the file: in legacy ``.h5`` files, such as those of
    keras.applications, and in ``.weights.h5`` and ``.keras`` files of flat models. Where a file of the latter two kinds
    tells no names (nested models, early Keras 3), Keras goes by its structure.

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
    arrays = _read_archive(path) if path.suffix == ".keras" else _read_h5(path)
    if arrays is None:
        _load_structural(model, path)
    else:
        _assign_by_name(model, arrays, path)


def _read_archive(path: Path) -> dict[str, list[np.ndarray]] | None:
    if not path.is_file():
        found = "a folder" if path.is_dir() else "nothing there"
        raise FileNotFoundError(f"{path}: needed {_NEEDED}, found {found}.")
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path}: needed {_NEEDED}, found a file that is no Keras archive; fetch it again.")
    with _reading(path):
        with zipfile.ZipFile(path) as archive:
            store = io.BytesIO(archive.read("model.weights.h5"))  # checks the member's sum, too
        with h5py.File(store) as file:
            return _read_structural(file)


def _read_h5(path: Path) -> dict[str, list[np.ndarray]] | None:
    with open_h5(path, needed=_NEEDED) as file, _reading(path):
        root = file.get("model_weights", file)
        return _read_legacy(root) if "layer_names" in root.attrs else _read_structural(root)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn what h5py, zipfile and NumPy raise on a damaged file into one error that names the file."""
    try:
        yield
    except Exception as error:  # many kinds, and RuntimeError and zlib.error among them
        raise ValueError(
            f"{path}: needed {_NEEDED}, found one that is damaged or of another layout "
            f"({type(error).__name__}: {error}); fetch it again."
        ) from error


def _read_legacy(root: h5py.Group) -> dict[str, list[np.ndarray]]:
    """Return the arrays of every layer that has any, by layer name, in the order of a Keras layer's weights."""
    arrays = {}
    layers = [_text(name) for name in root.attrs["layer_names"]]
    for layer in layers:
        group = root[layer]
        names = [_text(name) for name in group.attrs["weight_names"]]
        for name in names:
            owner = name.split("/")[-2] if "/" in name else layer
            if owner != layer and owner in layers:
                raise ValueError(f"layer {layer} holds a weight of another layer, {name}")
        if len(set(names)) < len(names):
            raise ValueError(f"it names a weight of layer {layer} twice")
        kinds = [name.rsplit("/", 1)[-1].split(":")[0] for name in names]
        if len(set(kinds)) == len(kinds) and set(kinds) <= set(_ORDER):
            names = [name for _, name in sorted(zip(map(_ORDER.index, kinds), names, strict=True))]
        if names:
            arrays[layer] = [np.asarray(group[name][()], dtype="float32") for name in names]
    return arrays


def _read_structural(root: h5py.Group) -> dict[str, list[np.ndarray]] | None:
    """Return the arrays of every layer that has any, by layer name, or None if the file does not tell the names."""
    if "layers" not in root:
        return None
    arrays = {}
    for group in root["layers"].values():
        if "layers" in group:
            return None
        variables = group.get("vars", ())
        if len(variables) == 0:
            continue
        if "name" not in variables.attrs or any("dtype" in value.attrs for value in variables.values()):
            return None
        name = _text(variables.attrs["name"])
        if name in arrays:
            raise ValueError(f"it holds layer {name} twice")
        arrays[name] = [np.asarray(variables[str(i)][()], dtype="float32") for i in range(len(variables))]
    return arrays


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name


def _assign_by_name(model: keras.Model, arrays: dict[str, list[np.ndarray]], path: Path) -> None:
    wanted = {layer.name: [tuple(w.shape) for w in layer.weights] for layer in model.layers if layer.weights}
    for former, present in _FORMER_NAMES.items():
        if former in arrays and former not in wanted and present not in arrays:
            arrays = {present if name == former else name: values for name, values in arrays.items()}
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
