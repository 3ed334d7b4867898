"""Writing a network's weights where other libraries read them: torchvision and timm, or keras.applications."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import keras
import numpy as np
from safetensors.numpy import save_file

from resnet50._io.files import atomic_path
from resnet50.weights.keras_files import NORMALIZATION_KEY
from resnet50.weights.layouts import TORCHVISION, to_state_dict
from resnet50.weights.normalization import model_normalization
from resnet50.weights.transfer import strides_on_1x1, weighted_layers

_SUFFIXES = {"torchvision": ".safetensors", "keras": ".h5"}


def save_weights(model: keras.Model, path: str | os.PathLike[str], *, layout: str = "torchvision") -> None:
    """Write a network's weights for other libraries, every bit as it is.

    A file also carries the name of the model's normalization, by which `build_resnet50` gets it right when it comes
    back.

    Args:
        model: Flat model with our layers' names.
        path: Name of the file; replaced if it exists.
        layout: ``"torchvision"`` writes a state dict as ``.safetensors``, which opens in timm and torchvision;
            ``"keras"`` writes a ``.h5``, which opens in keras.applications by ``weights=``, or Keras' newer
            ``.weights.h5``.

    Raises:
        ValueError: If there is no such layout, the name ends otherwise, or the network is not one that the layout can
            describe: torchvision's has conventions v1.5 and a linear head.
    """
    path = Path(path)
    if layout not in _SUFFIXES:
        raise ValueError(f"layout must be one of {', '.join(_SUFFIXES)}, got {layout!r}.")
    if path.suffix != _SUFFIXES[layout]:
        raise ValueError(f"{path}: the name of a file in the {layout} layout must end in {_SUFFIXES[layout]}.")
    layers = weighted_layers(model)
    normalization = model_normalization(model)
    carried = {} if normalization is None else {NORMALIZATION_KEY: normalization}
    if layout == "torchvision":
        tensors = _state_dict(model, layers, path)
        with atomic_path(path) as temporary:
            save_file(tensors, temporary, metadata={"format": "pt", **carried})  # transformers asks for the format
        return
    with atomic_path(path) as temporary:
        if path.name.endswith(".weights.h5"):
            model.save_weights(temporary)
        else:
            _write_legacy(model, temporary)
        with h5py.File(temporary, "r+") as file:
            file.attrs.update(carried)


def _state_dict(model: keras.Model, layers: dict[str, keras.Layer], path: Path) -> dict[str, np.ndarray]:
    strange = [name for name in layers if TORCHVISION.module(name) is None]
    if strange:
        raise ValueError(
            f"{path}: torchvision's ResNet has nothing like {', '.join(strange[:3])}; write it with layout='keras'."
        )
    arrays = {name: tuple(layer.get_weights()) for name, layer in layers.items()}
    if len(arrays["conv1_conv"]) == 2 or strides_on_1x1(model):
        raise ValueError(
            f"{path}: torchvision's ResNet has the conventions v1.5 (no biases, stride on the 3x3), this network those "
            "of v1, which only layout='keras' can write."
        )
    return to_state_dict(arrays)


def _write_legacy(model: keras.Model, path: Path) -> None:
    """Write the layout of the ImageNet files of keras.applications: names in attributes, a group for each layer."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = np.array([layer.name.encode() for layer in model.layers])
        file.attrs["backend"] = keras.backend.backend().encode()
        file.attrs["keras_version"] = keras.__version__.encode()
        for layer in model.layers:
            group = file.create_group(layer.name)
            names = [f"{layer.name}/{weight.name}:0" for weight in layer.weights]
            group.attrs["weight_names"] = np.array([name.encode() for name in names], None if names else "S1")
            for name, value in zip(names, layer.get_weights(), strict=True):
                group[name] = value
