"""Read Keras' files (legacy ``.h5``, ``.weights.h5`` and ``.keras``) into arrays by layer name. Needs no Keras.

Layers of a nested model count as layers of the file, since transfer learning often nests the network.
"""

from __future__ import annotations

import io
import json
import re
import struct
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from resnet50._io.hdf5 import FilePart, H5File, check_dataset, check_items
from resnet50._io.hdf5 import member as member_of
from resnet50._io.limits import IMAGE_SIDE, METADATA_BYTES
from resnet50.weights.layouts import LIMIT, Arrays, UnfitFileError, from_bfloat16
from resnet50.weights.normalization import NORMALIZATIONS, UNKNOWN, find_normalization

MEMBER = "model.weights.h5"
"""Name of the weights in a ``.keras`` archive."""

CONFIG_MEMBER = "config.json"
"""Name of the model's graph in a ``.keras`` archive."""

CLASSIFIER_MEMBER = "resnet50.json"
"""Name of the class names and other metadata of a classifier in a ``.keras`` archive; Keras' own ``save`` drops it."""

NORMALIZATION_KEY = "resnet50.normalization"
"""Attribute of the file's root in which `resnet50.weights.save_weights` stores a row of `NORMALIZATIONS`."""

_ARCHIVE_START = b"PK\x03\x04"

# the normalization of the published bare network
_PUBLISHED = "caffe"

# keras-applications 1.0 published the ImageNet files with this name of the classifier; Keras loads them by order
_FORMER_NAMES = {"probs": "predictions"}

# Keras' order of a layer's weights; the four of batch norm have the same shape and differ by name only
_ORDER = ("kernel", "gamma", "bias", "beta", "moving_mean", "moving_variance")


def read_archive(archive: zipfile.ZipFile) -> tuple[Arrays, str]:
    """Read a ``.keras`` file.

    Args:
        archive: Open for reading.

    Returns:
        Arrays by layer name, and the normalization that the model's graph contains, as in `read_h5`.

    Raises:
        UnfitFileError: If the file is of another format. Damage raises the errors of zipfile, json, h5py and NumPy.
    """
    config = json.loads(read_small(archive, CONFIG_MEMBER))
    with H5File(_weights(archive)) as file:
        arrays, _ = read_h5(file)
    return arrays, find_normalization(_operations(config)) or _PUBLISHED


def check_archive(path: Path) -> None:
    """Refuse a ``.keras`` file that would make Keras loop forever, take far more memory than it has, or read others.

    Raises:
        UnfitFileError: If it declares too much. Damage raises the errors of zipfile, json and h5py.
    """
    with zipfile.ZipFile(path) as archive:
        side = max(_sides(json.loads(read_small(archive, CONFIG_MEMBER))), default=0)
        if side > IMAGE_SIDE:
            raise UnfitFileError(f"a model for images of {side:,} pixels, more than {IMAGE_SIDE:,}.")
        member = archive.getinfo(MEMBER)
        stored = member.compress_type == zipfile.ZIP_STORED
        content = None if stored else _weights(archive)
    with path.open("rb", buffering=0) as raw, H5File(content or FilePart(raw, *_place(raw, member))) as file:
        check_items(file, most=LIMIT)


def _place(raw: io.FileIO, member: zipfile.ZipInfo) -> tuple[int, int]:
    """Return where in an archive the content of an uncompressed member begins, and its length."""
    raw.seek(member.header_offset)
    name, extra = struct.unpack("<26x2H", raw.read(30))
    return member.header_offset + 30 + name + extra, member.file_size


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn the exceptions that zipfile, json and h5py raise for a damaged classifier into a ValueError."""
    try:
        yield
    except UnfitFileError as error:
        raise ValueError(f"{path}: expected a classifier (.keras), got {error}") from error
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        begins = _begins_as_archive(path)
        got = f"a damaged or {'incomplete' if begins else 'other'} file ({reason})"
        advice = "copy it again" if begins else "give the .keras file of a run"
        raise ValueError(f"{path}: expected a classifier (.keras), got {got}; {advice}.") from error


def _begins_as_archive(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_ARCHIVE_START)) == _ARCHIVE_START
    except OSError:
        return False


def check_complete(archive: zipfile.ZipFile) -> None:
    """Refuse an archive that does not begin at the start of its file.

    If a ``.keras`` file has lost its end, zipfile opens the last whole archive inside it, such as that of thresholds.

    Raises:
        zipfile.BadZipFile: If it begins later.
    """
    if min((info.header_offset for info in archive.infolist()), default=0):
        raise zipfile.BadZipFile("a zip archive that does not begin where the file does, or has lost its end")


def read_small(archive: zipfile.ZipFile, name: str) -> bytes:
    """Read a member that describes something.

    Raises:
        UnfitFileError: If it is too large. Damage raises the errors of zipfile.
    """
    if archive.getinfo(name).file_size > METADATA_BYTES:
        raise UnfitFileError(f"an archive with a {name} of more than {METADATA_BYTES >> 20} MiB.")
    return archive.read(name)


def _weights(archive: zipfile.ZipFile) -> io.BytesIO:
    if archive.getinfo(MEMBER).file_size > LIMIT:
        raise UnfitFileError(f"an archive that unpacks to more than {LIMIT >> 20} MiB.")
    return io.BytesIO(archive.read(MEMBER))  # checks the member's checksum, too


def _sides(config: Any) -> Iterator[int]:
    """Yield the heights and widths of all inputs in a model's configuration."""
    entries = [config]
    while entries:
        entry = entries.pop()
        if isinstance(entry, dict):
            for key in ("batch_shape", "batch_input_shape"):
                shape = entry.get(key)
                yield from (side for side in shape if isinstance(side, int)) if isinstance(shape, list) else ()
            entries.extend(entry.values())
        elif isinstance(entry, list):
            entries.extend(entry)


def read_class_names(archive: zipfile.ZipFile) -> tuple[str, ...] | None:
    """Return the class names that `resnet50.inference.classifier.Classifier` stores in a ``.keras`` file, if any.

    Args:
        archive: Open for reading.

    Raises:
        UnfitFileError: If its metadata are too large. Damage raises the errors of zipfile and json.
    """
    if CLASSIFIER_MEMBER not in archive.namelist():
        return None
    metadata = json.loads(read_small(archive, CLASSIFIER_MEMBER))
    names = metadata.get("class_names") if isinstance(metadata, dict) else None
    return tuple(names) if isinstance(names, list) and all(isinstance(name, str) for name in names) else None


def read_h5(file: h5py.File) -> tuple[Arrays, str]:
    """Read a legacy ``.h5`` or a ``.weights.h5`` file.

    Args:
        file: Open for reading.

    Returns:
        Arrays by layer name, and a row of `NORMALIZATIONS`: the one that the file names or its graph contains;
        `UNKNOWN` if only a layer name shows that there is one; for a bare network, its publisher's. Early Keras 3 wrote
        no names; those arrays have Keras' numbering (``conv2d``, ``conv2d_1``, ...).

    Raises:
        UnfitFileError: If the file is of another format. Damage raises the errors of h5py and NumPy.
    """
    root = member_of(file, "model_weights") if "model_weights" in file else file
    if "layer_names" in root.attrs:
        names = [_text(name) for name in root.attrs["layer_names"]]
        stored = _find_legacy(root, names)
    elif "layers" in root:
        groups = _find_structural(root)
        names = list(groups)
        stored = {
            name: [member_of(group, str(n)) for n in range(len(group))] for name, group in groups.items() if len(group)
        }
    else:
        raise UnfitFileError(
            f"an HDF5 file without Keras layers (it contains {', '.join(list(file)[:3]) or 'nothing'})."
        )
    if any(re.fullmatch(r"res\d[a-z]_branch\d[a-c]?", name) for name in names):
        raise UnfitFileError(
            "an old file of Keras, with layers such as res2a_branch2a instead of conv2_block1_1_conv; use the "
            "published weights 'imagenet', the present file of the same name."
        )
    for former, present in _FORMER_NAMES.items():
        if former in stored and present not in stored:
            stored = {present if name == former else name: values for name, values in stored.items()}
    return _read(stored), _normalization(file, names)


def _normalization(file: h5py.File, names: list[str]) -> str:
    if NORMALIZATION_KEY in file.attrs:
        name = _text(file.attrs[NORMALIZATION_KEY])
        return name if name in NORMALIZATIONS else UNKNOWN
    if "model_config" in file.attrs:
        return find_normalization(_operations(json.loads(file.attrs["model_config"]))) or _PUBLISHED
    return UNKNOWN if {"normalization", "rescaling"} & set(names) else _PUBLISHED


def _operations(config: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield class name and configuration of each operation in a model's configuration, nested models included."""
    for entry in config["config"]["layers"]:
        if "layers" in entry["config"]:
            yield from _operations(entry)
        else:
            yield entry["class_name"], entry["config"]


def _find_legacy(root: h5py.Group, layers: list[str]) -> dict[str, list[h5py.Dataset]]:
    """Return the stored arrays of every layer that has weights, in Keras' order."""
    stored: dict[str, list[h5py.Dataset]] = {}
    for layer in layers:
        group = member_of(root, layer)
        names = [_text(name) for name in group.attrs["weight_names"]]
        if len(set(names)) < len(names):
            raise UnfitFileError(f"a duplicate weight name in layer {layer}.")
        owners = {name: name.split("/")[-2] if "/" in name else layer for name in names}
        foreign = [name for name, owner in owners.items() if owner != layer and owner in layers]
        if foreign:
            raise UnfitFileError(f"layer {layer} with a weight of another layer, {foreign[0]}.")
        # weights of several owners belong to a nested model; one owner may have any name, as Keras allows
        nested = len(set(owners.values())) > 1
        for owner in dict.fromkeys(owners.values()):
            name = owner if nested else layer
            if name in stored:
                raise UnfitFileError(f"two layers named {name}.")
            stored[name] = [member_of(group, weight) for weight in _ordered([n for n in names if owners[n] == owner])]
    return stored


def _ordered(names: list[str]) -> list[str]:
    """Sort a layer's weights into Keras' order, if all of their names are known and differ."""
    ends = [name.rsplit("/", 1)[-1].split(":")[0] for name in names]
    if len(set(ends)) < len(ends) or not set(ends) <= set(_ORDER):
        return names
    return [name for _, name in sorted(zip(map(_ORDER.index, ends), names, strict=True))]


def _find_structural(root: h5py.Group) -> dict[str, h5py.Group]:
    """Return each layer's group of weights, which may be empty."""
    items: dict[str, h5py.Group | h5py.Dataset] = {}
    root.visititems(items.__setitem__)  # visits each item once and follows no link to another file
    groups: dict[str, h5py.Group] = {}
    for path, group in items.items():
        match = re.fullmatch(r"(?:.+/)?layers/([^/]+)/vars", path)
        if match is None:
            continue
        name = _text(group.attrs.get("name", match[1]))
        if name in groups and len(group):
            raise UnfitFileError(f"two layers named {name}.")
        groups[name] = group
    return groups


def _read(stored: Mapping[str, list[h5py.Dataset]]) -> dict[str, tuple[np.ndarray, ...]]:
    all_weights = [dataset for datasets in stored.values() for dataset in datasets]
    for dataset in all_weights:
        check_dataset(dataset)
    size = sum(dataset.nbytes for dataset in all_weights)
    if size > LIMIT:  # a few bytes of HDF5 can declare any shape
        raise UnfitFileError(f"weights of {size} bytes, more than the limit of {LIMIT}.")
    return {layer: tuple(map(_array, datasets)) for layer, datasets in stored.items()}


def _array(dataset: h5py.Dataset) -> np.ndarray:
    if dataset.attrs.get("dtype") == "bfloat16":
        return from_bfloat16(dataset[()].view("uint16"))
    return np.asarray(dataset[()], dtype="float32")


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name
