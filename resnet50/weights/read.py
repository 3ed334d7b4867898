"""Read files of ResNet weights, whichever library wrote them, as arrays under our layer names. Needs no Keras."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from resnet50._io.hdf5 import open_h5
from resnet50.conventions import CONVENTIONS, V1, V1_5, Conventions
from resnet50.weights import keras_files, layouts, torch_pickle
from resnet50.weights.fetch import fetch_weights
from resnet50.weights.keras_files import NORMALIZATION_KEY
from resnet50.weights.layouts import LIMIT, Arrays, UnfitFileError, count_layers
from resnet50.weights.normalization import NORMALIZATIONS, UNKNOWN
from resnet50.weights.registry import REGISTRY, SUFFIXES, find_published, imagenet_classes

EXPECTED = "a file of ResNet weights (.h5, .weights.h5, .keras, .safetensors, .pth, .pt or .bin)"

_MAX_MEMBERS = 10_000  # of an archive; a training checkpoint has a few hundred


@dataclass(frozen=True)
class WeightsFile:
    """The content of a weights file.

    Attributes:
        origin: Name of the published weights, or path of the file.
        layout: Naming scheme of the file: ``"keras"``, ``"torchvision"`` (timm too) or ``"hugging-face"``.
        conventions: Conventions of the network that the weights belong to, with moving statistics that are fast enough
            for training (`Conventions.from_scratch`).
        normalization: Row of `NORMALIZATIONS` for the pixels, or ``"unknown"`` if the file has one but does not
            specify it.
        arrays: float32 weights by our layer names, each layer's in Keras' order.
        unused: Other content of the file: its name there and why it is not used.
        class_names: Name of each output of its classifier; None where the file does not say.
    """

    origin: str
    layout: str
    conventions: Conventions
    normalization: str
    arrays: Arrays = field(repr=False)
    unused: Mapping[str, str] = field(repr=False)
    class_names: tuple[str, ...] | None = field(default=None, repr=False)


def read_weights(weights: str | os.PathLike[str] | WeightsFile) -> WeightsFile:
    """Read the weights of a ResNet; the format is recognized by the file's content.

    Supported formats: Keras' legacy ``.h5``, ``.weights.h5`` and ``.keras``; state dicts of torchvision, timm or
    Hugging Face, as ``.safetensors`` or written by ``torch.save`` (``.pth``, ``.pt``, ``.bin``; this needs no PyTorch
    and executes nothing in the file). Of a training checkpoint, the first of ``state_dict_ema``, ``model_ema``,
    ``state_dict`` and ``model`` is read. Prefixes such as ``module.`` are dropped (`layouts.from_state_dict`).

    Args:
        weights: Name of published weights (`resnet50.weights.REGISTRY`), which are fetched if they are not cached; or
            a path; or a `WeightsFile`, which is returned as it is.

    Returns:
        The weights, with the conventions and the normalization that they expect.

    Raises:
        ValueError: If the file is of another format or damaged, a weight is NaN or infinite, or no published weights
            have that name.
        FileNotFoundError: If the file does not exist.
        DownloadError: If published weights are not cached and cannot be fetched.
    """
    if isinstance(weights, WeightsFile):
        return weights
    if isinstance(weights, str) and weights in REGISTRY:
        published = REGISTRY[weights]
        return replace(
            _read_file(fetch_weights(weights)),
            origin=weights,
            conventions=CONVENTIONS[published.conventions].from_scratch(),
            normalization=published.normalization,
            class_names=imagenet_classes() if published.classes == len(imagenet_classes()) else None,
        )
    path = Path(weights)
    if isinstance(weights, str) and path.suffix not in SUFFIXES and not path.exists():
        try:
            find_published(weights)
        except ValueError as error:
            raise ValueError(f"expected {EXPECTED}; or {str(error).removeprefix('expected ')}") from error
    return _read_file(path)


def read_fitting(weights: str | os.PathLike[str] | WeightsFile, layers: int) -> WeightsFile:
    """Read weights for a network of this many layers; published ones of another are refused before a download.

    Args:
        weights: As in `read_weights`.
        layers: The number after the network's name: 50 for ResNet-50.

    Returns:
        The weights.

    Raises:
        ValueError: If they are those of another depth, or `read_weights` cannot read the file.
        FileNotFoundError: If the file does not exist.
    """
    published = REGISTRY.get(weights) if isinstance(weights, str) else None
    if published and any(row.depth == layers for row in REGISTRY.values()):  # another table of stages says more later
        _check_depth(published.name, published.depth, layers)
    file = read_weights(weights)
    _check_depth(file.origin, count_layers(file.arrays), layers)
    return file


def _check_depth(origin: str, actual: int | None, expected: int) -> None:
    if actual not in (None, expected):
        raise ValueError(
            f"{origin}: expected weights of a ResNet-{expected}, got those of a ResNet-{actual}; use weights of "
            f"{expected} layers, or build the network with {actual} (depth)."
        )


def _read_file(path: Path) -> WeightsFile:
    if path.is_dir():
        raise FileNotFoundError(f"{path}: expected {EXPECTED}, got a folder; name the file in it.")
    start = _start(path)
    with _reading(path):
        if start.startswith(b"PK\x03\x04"):
            return _read_archive(path)
        if start[8:9] == b"{":
            return _read_safetensors(path)
        if start.startswith(torch_pickle.PICKLE_START):
            return _from_state_dict(path, *torch_pickle.read_legacy(_content(path)))
    with open_h5(path, expected=EXPECTED) as file, _reading(path):  # its error describes other files
        return _from_keras(path, *keras_files.read_h5(file))


def _start(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(64)
    except OSError:
        return b""  # `open_h5` raises the error


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn any error of a damaged or unfit file into a ValueError that names the file."""
    try:
        yield
    except UnfitFileError as error:
        raise ValueError(f"{path}: expected {EXPECTED}, got {error}") from error
    except Exception as error:  # of many types, among them RuntimeError and zlib.error
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"{path}: expected {EXPECTED}, got one that is damaged or of another layout "
            f"({type(error).__name__}: {reason}); download it again."
        ) from error


def _content(path: Path) -> bytes:
    _check_size(path)
    return path.read_bytes()


def _check_size(path: Path) -> None:
    size = path.stat().st_size
    if size > LIMIT:
        raise UnfitFileError(f"{size >> 20} MiB, more than the limit of {LIMIT >> 20} MiB.")


def _read_archive(path: Path) -> WeightsFile:
    content = _content(path)
    if content.count(b"PK\x01\x02") > _MAX_MEMBERS:  # the signature of an entry of its directory
        raise UnfitFileError(f"an archive of more than {_MAX_MEMBERS} files.")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        keras_files.check_complete(archive)
        if keras_files.MEMBER in archive.namelist():
            return replace(
                _from_keras(path, *keras_files.read_archive(archive)), class_names=keras_files.read_class_names(archive)
            )
        return _from_state_dict(path, *torch_pickle.read_archive(archive))


def _read_safetensors(path: Path) -> WeightsFile:
    from safetensors import safe_open  # here: help pages come this far, also where it is not installed

    _check_size(path)
    with safe_open(path, framework="numpy") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is not a dict
        normalization = (file.metadata() or {}).get(NORMALIZATION_KEY, "torch")
    return _from_state_dict(
        path, tensors, {}, normalization=normalization if normalization in NORMALIZATIONS else UNKNOWN
    )


def _from_state_dict(
    path: Path, tensors: Mapping[str, np.ndarray], others: Mapping[str, str], *, normalization: str = "torch"
) -> WeightsFile:
    layout, arrays, unused = layouts.from_state_dict(tensors)
    _check_finite(arrays)
    return WeightsFile(str(path), layout, V1_5.from_scratch(), normalization, arrays, {**others, **unused})


def _from_keras(path: Path, arrays: Arrays, normalization: str) -> WeightsFile:
    _check_finite(arrays)
    biased = any(len(values) == 2 and values[0].ndim == 4 for values in arrays.values())
    return WeightsFile(str(path), "keras", (V1 if biased else V1_5).from_scratch(), normalization, arrays, {})


def _check_finite(arrays: Arrays) -> None:
    for name, values in arrays.items():
        if not all(np.isfinite(value).all() for value in values):
            raise UnfitFileError(
                f"one whose layer {name} has weights that are NaN or infinite; train or download again."
            )
