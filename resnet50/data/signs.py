"""SIGNS, the course's photos of hands that show 0 to 5, in its HDF5 schema: the library's own on-disk format too.

A file of one part holds ``{part}_set_x`` (uint8 pictures), ``{part}_set_y`` (labels) and ``list_classes``, where
``part`` is ``train`` or ``test``. Files that this library writes add ``source_file`` and the attribute ``dataset``.
"""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np

from resnet50.data.split import Split
from resnet50.files import atomic_path, open_h5

TRAIN_FILE = "train_signs.h5"
TEST_FILE = "test_signs.h5"


def load_signs(
    train: str | os.PathLike[str], test: str | os.PathLike[str] | None = None
) -> tuple[Split, Split]:
    """Read the two files of SIGNS, or of any data set in its schema.

    Args:
        train: The training file, or, if ``test`` is None, a folder with ``train_signs.h5`` and ``test_signs.h5``.
        test: The test file.

    Returns:
        Training and test split: RGB uint8 ``(n, side, side, 3)``, labels int64 ``(n,)``.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file does not keep to the schema, or the two do not have the same classes.

    Source: Andrew Ng, "Deep Learning Specialization", course 4, week 2 (the data set of its ResNet-50 assignment).
    """
    if test is None:
        train, test = Path(train, TRAIN_FILE), Path(train, TEST_FILE)
    splits = read_signs(train, "train"), read_signs(test, "test")
    if splits[0].class_names != splits[1].class_names:
        raise ValueError(
            f"{test}: needed the classes of {train}, {', '.join(splits[0].class_names)}, "
            f"found {', '.join(splits[1].class_names)}."
        )
    return splits


def read_signs(path: str | os.PathLike[str], part: str) -> Split:
    """Read and check one file of the schema.

    Args:
        path: The file.
        part: ``"train"`` or ``"test"``: prefix of the keys to read.

    Returns:
        The pictures, RGB uint8 ``(n, side, side, 3)``; labels in the course's ``(1, n)`` form become ``(n,)``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not HDF5, or its keys, shapes, types or values are not those of the schema.
    """
    path = Path(path)
    with open_h5(path, needed="an HDF5 file in the schema of SIGNS") as file:
        x, y, classes = (_dataset(file, key, path) for key in (f"{part}_set_x", f"{part}_set_y", "list_classes"))
        if x.ndim != 4 or x.shape[1] != x.shape[2] or x.shape[3] != 3 or 0 in x.shape:
            raise ValueError(f"{path}: needed {part}_set_x of shape (n, side, side, 3), found {x.shape}.")
        if x.dtype != np.uint8:
            raise ValueError(f"{path}: needed {part}_set_x of type uint8 (0..255), found {x.dtype}.")
        if y.shape not in ((len(x),), (1, len(x))):
            raise ValueError(
                f"{path}: needed {part}_set_y of shape ({len(x)},) or (1, {len(x)}) for {len(x)} pictures, "
                f"found {y.shape}."
            )
        class_names = _names(classes, path)
        labels = _labels(y, len(class_names), f"{path}: needed {part}_set_y")
        images = _read(x, path)
        where = file.get("source_file")
        if where is not None and where.shape == (len(x),):
            sources = tuple(_text(name) for name in _read(where, path))
        else:
            sources = tuple(f"{path.name}#{index}" for index in range(len(x)))
        dataset = str(file.attrs.get("dataset", "SIGNS"))
    return Split(images=images, labels=labels, class_names=class_names, sources=sources, dataset=dataset)


def write_signs(split: Split, path: str | os.PathLike[str], part: str) -> None:
    """Write a split in the schema of SIGNS, atomically.

    Args:
        split: What to write.
        path: The file; one that exists is replaced once the new one is complete.
        part: ``"train"`` or ``"test"``: prefix of the keys.
    """
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        file.create_dataset(f"{part}_set_x", data=split.images, compression="gzip", compression_opts=1)
        file[f"{part}_set_y"] = split.labels
        file["list_classes"] = np.array([name.encode() for name in split.class_names])
        file["source_file"] = np.array([source.encode() for source in split.sources])
        file.attrs["dataset"] = split.dataset


def _dataset(file: h5py.File, key: str, path: Path) -> h5py.Dataset:
    value = file.get(key)
    if not isinstance(value, h5py.Dataset):
        raise ValueError(f"{path}: needed the key {key}, found {', '.join(file) or 'no keys at all'}.")
    return value


def _read(dataset: h5py.Dataset, path: Path) -> np.ndarray:
    try:
        return dataset[()]
    except OSError as error:
        raise ValueError(f"{path}: {dataset.name} cannot be read, the file is damaged ({error}).") from error


def _names(classes: h5py.Dataset, path: Path) -> tuple[str, ...]:
    if classes.ndim != 1 or len(classes) < 2:
        raise ValueError(f"{path}: needed list_classes of shape (classes,), at least 2, found {classes.shape}.")
    names = tuple(_text(name) for name in _read(classes, path))
    if len(set(names)) < len(names):
        raise ValueError(f"{path}: needed different names in list_classes, found {', '.join(names)}.")
    return names


def _labels(y: h5py.Dataset, classes: int, needed: str) -> np.ndarray:
    if y.dtype.kind not in "iuf":
        raise ValueError(f"{needed} of whole numbers, found {y.dtype}.")
    values = y[()].reshape(-1)
    if not np.isfinite(values).all():
        raise ValueError(f"{needed} of whole numbers, found NaN or infinity.")
    labels = values.astype(np.int64)
    if (labels != values).any():
        raise ValueError(f"{needed} of whole numbers, found {values[labels != values][0]}.")
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"{needed} within 0..{classes - 1}, found {labels.min()}..{labels.max()}.")
    return labels


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
