"""Write a network's weights for other libraries: torchvision and timm, or keras.applications."""

from __future__ import annotations

import io
import os
from pathlib import Path

import h5py
import keras
import numpy as np
from safetensors.numpy import save_file

from resnet50._io.files import atomic_path, check_room
from resnet50.weights.keras_files import NORMALIZATION_KEY
from resnet50.weights.layouts import TORCHVISION, to_state_dict
from resnet50.weights.normalization import model_normalization
from resnet50.weights.transfer import strides_on_1x1, weighted_layers

_REST = 1 << 20  # bytes of names

_SUFFIXES = {"torchvision": ".safetensors", "keras": ".h5"}


def save_weights(model: keras.Model, path: str | os.PathLike[str], *, layout: str = "torchvision") -> None:
    """Write a network's weights for other libraries, without any change of values.

    The file also contains the name of the model's normalization, so that `build_resnet50` restores it.

    Args:
        model: Flat model with our layer names.
        path: Name of the file; replaced if it exists.
        layout: ``"torchvision"`` writes a state dict as ``.safetensors``, which timm and torchvision open; ``"keras"``
            writes a ``.h5``, which keras.applications opens with ``weights=``, or Keras' newer ``.weights.h5``.

    Raises:
        ValueError: If the layout does not exist, the suffix does not fit it, or the layout cannot describe the network:
            torchvision's has the conventions v1.5 and a linear head.
    """
    path = Path(path)
    if layout not in _SUFFIXES:
        raise ValueError(f"expected layout to be one of {', '.join(_SUFFIXES)}, got {layout!r}.")
    if path.suffix != _SUFFIXES[layout]:
        raise ValueError(
            f"{path}: expected a name that ends in {_SUFFIXES[layout]} for the {layout} layout, got {path.suffix!r}."
        )
    layers = weighted_layers(model)
    normalization = model_normalization(model)
    metadata = {} if normalization is None else {NORMALIZATION_KEY: normalization}
    check_room(path, 4 * model.count_params() + _REST, "the weights")
    if layout == "torchvision":
        tensors = _state_dict(model, layers, path)
        with atomic_path(path) as temporary:
            save_file(tensors, temporary, metadata={"format": "pt", **metadata})  # transformers requires the format
        return
    with atomic_path(path) as temporary:
        if path.name.endswith(".weights.h5"):
            model.save_weights(temporary)
        else:
            _write_legacy(model, temporary)
        with h5py.File(temporary, "r+") as file:
            file.attrs.update(metadata)


def _state_dict(model: keras.Model, layers: dict[str, keras.Layer], path: Path) -> dict[str, np.ndarray]:
    foreign = [name for name in layers if TORCHVISION.module(name) is None]
    if foreign:
        raise ValueError(
            f"{path}: expected layers of torchvision's ResNet, got {', '.join(foreign[:3])}; use layout='keras'."
        )
    if not any(isinstance(layer, keras.layers.Add) for layer in model.layers):
        raise ValueError(
            f"{path}: expected a network with shortcuts, as torchvision's, got a plain one; use layout='keras'."
        )
    arrays = {name: tuple(layer.get_weights()) for name, layer in layers.items()}
    if len(arrays["conv1_conv"]) == 2 or strides_on_1x1(model):
        raise ValueError(
            f"{path}: expected a network of conventions v1.5 (no biases, stride on the 3x3), as torchvision's ResNet, "
            "got one of v1; use layout='keras'."
        )
    return to_state_dict(arrays)


def _write_legacy(model: keras.Model, path: Path) -> None:
    """Write the layout of keras.applications' ImageNet files: names in attributes, one group per layer."""
    content = io.BytesIO()  # HDF5 kills the process where a disk is full
    with h5py.File(content, "w") as file:
        file.attrs["layer_names"] = np.array([layer.name.encode() for layer in model.layers])
        file.attrs["backend"] = keras.backend.backend().encode()
        file.attrs["keras_version"] = keras.__version__.encode()
        for layer in model.layers:
            group = file.create_group(layer.name)
            names = [f"{layer.name}/{weight.name}:0" for weight in layer.weights]
            group.attrs["weight_names"] = np.array([name.encode() for name in names], None if names else "S1")
            for name, value in zip(names, layer.get_weights(), strict=True):
                group[name] = value
    path.write_bytes(content.getbuffer())
