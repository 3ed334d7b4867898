"""Read CIFAR-10 from its binary version, or from lossless PNG sheets with a list of labels."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from resnet50.data.dataset import Dataset
from resnet50.data.images import read_header, read_image

CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

_PAGE = "https://www.cs.toronto.edu/~kriz/cifar.html"
_ADVICE = f"download cifar-10-binary.tar.gz from {_PAGE}, unpack it and give its folder"

_BATCHES = {"train": tuple(f"data_batch_{index}.bin" for index in range(1, 6)), "test": ("test_batch.bin",)}
_BATCH_RECORDS = 10_000
_RECORD_BYTES = 1 + 3 * 32 * 32  # the label, then the red, green and blue plane

_SHEETS = {"train": range(50), "test": range(50, 60)}  # cifar10_batch_0.png and so on
_SHEET_IMAGES = 1000
_LABELS_FILE = "cifar10_labels.js"
_LABELS_BYTES = 1 << 20

_PICKLES = ("data_batch_1", "cifar-10-batches-py", "cifar-10-batches-py-target")  # the last is in Keras' cache
_ARCHIVES = ("cifar-10-python.tar.gz", "cifar-10-batches-py.tar.gz", "cifar-10-binary.tar.gz")
_UNPACKED = "cifar-10-batches-bin"


def is_cifar10(folder: str | os.PathLike[str]) -> bool:
    """Return whether a folder holds CIFAR-10 in any form, including forms that `read_cifar10` refuses with advice."""
    folder = Path(folder)
    names = (*_BATCHES["train"], *_BATCHES["test"], _UNPACKED, _LABELS_FILE, *_PICKLES, *_ARCHIVES)
    return any((folder / name).exists() for name in names)


def read_cifar10(folder: str | os.PathLike[str]) -> dict[str, Dataset]:
    """Read CIFAR-10 from its binary version or from PNG sheets.

    The binary version is ``data_batch_1.bin`` to ``data_batch_5.bin`` and ``test_batch.bin``, in the folder or in its
    ``cifar-10-batches-bin``; its ``batches.meta.txt`` is not needed.

    Sheets are ``cifar10_batch_0.png`` to ``cifar10_batch_49.png`` for training and ``cifar10_batch_50.png`` to
    ``cifar10_batch_59.png`` for test, or some of each, beside ``cifar10_labels.js``, which holds ``var labels=[...]``
    for all. A sheet is 1024 pixels wide and 1000 high; row k is image k, its 32 rows of 32 pixels one after the
    other.

    The Python version and Keras' copy of it are refused: they are pickles, which can run any code when they are read.

    Args:
        folder: The folder.

    Returns:
        The splits ``"train"`` and ``"test"``: RGB uint8 ``(n, 32, 32, 3)``, labels int64 ``(n,)``, in the order of
        the files; 50,000 and 10,000 images in the binary version, 1000 for each sheet.

    Raises:
        FileNotFoundError: If there is no such folder, or a file is missing.
        ValueError: If the folder holds another version, a file has another size or form, or a label is not 0..9.

    Source: Krizhevsky 2009, "Learning multiple layers of features from tiny images".
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: expected a folder with CIFAR-10, got a path that is not a folder.")
    for place in (folder, folder / _UNPACKED):
        if any((place / name).exists() for names in _BATCHES.values() for name in names):
            return {split: _read_batches(place, names) for split, names in _BATCHES.items()}
    if (folder / _LABELS_FILE).exists():
        labels = _read_labels(folder / _LABELS_FILE)
        return {split: _read_sheets(folder, split, sheets, labels) for split, sheets in _SHEETS.items()}
    for name in _PICKLES:
        if (folder / name).exists():
            raise ValueError(f"{folder}: expected CIFAR-10's binary version, got pickles ({name}); {_ADVICE}.")
    for name in _ARCHIVES:
        if (folder / name).exists():
            advice = "unpack it" if "binary" in name else _ADVICE
            raise ValueError(f"{folder}: expected CIFAR-10's binary version, got the archive {name}; {advice}.")
    raise FileNotFoundError(f"{folder}: expected CIFAR-10's binary version, got none of its files; {_ADVICE}.")


def _read_batches(folder: Path, names: Sequence[str]) -> Dataset:
    paths = [folder / name for name in names]
    for path in paths:  # check all sizes before reading any file
        if not path.is_file():
            raise FileNotFoundError(f"{path}: expected a file of CIFAR-10's binary version, got none; unpack it again.")
        size, expected = path.stat().st_size, _BATCH_RECORDS * _RECORD_BYTES
        if size != expected:
            raise ValueError(f"{path}: expected {expected:,} bytes, got {size:,}; download or unpack it again.")
    images = np.empty((len(paths) * _BATCH_RECORDS, 32, 32, 3), np.uint8)
    labels = np.empty(len(images), np.int64)
    for index, path in enumerate(paths):
        records = np.fromfile(path, np.uint8).reshape(_BATCH_RECORDS, _RECORD_BYTES)
        rows = slice(index * _BATCH_RECORDS, (index + 1) * _BATCH_RECORDS)
        labels[rows] = records[:, 0]
        _check_labels(labels[rows], path)
        images[rows] = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return _dataset(images, labels, [path.name for path in paths], _BATCH_RECORDS)


def _read_labels(path: Path) -> np.ndarray:
    if path.stat().st_size > _LABELS_BYTES:
        raise ValueError(f"{path}: expected a list of at most 60,000 labels, got {path.stat().st_size:,} bytes.")
    text = path.read_bytes().decode("ascii", "replace")
    match = re.fullmatch(r"\s*var\s+labels\s*=\s*\[([0-9,\s]*)\]\s*;?\s*", text)
    numbers = match[1].split(",") if match else []
    if not all(re.fullmatch(r"\s*[0-9]{1,3}\s*", number) for number in numbers) or not numbers:
        raise ValueError(f"{path}: expected the text var labels=[...] with only whole numbers in it, got other text.")
    labels = np.array(numbers, dtype=np.int64)
    _check_labels(labels, path)
    return labels


def _read_sheets(folder: Path, split: str, sheets: Sequence[int], labels: np.ndarray) -> Dataset:
    present = [sheet for sheet in sheets if (folder / f"cifar10_batch_{sheet}.png").exists()]
    if not present:
        raise FileNotFoundError(
            f"{folder}: expected a {split} sheet, cifar10_batch_{sheets[0]}.png to cifar10_batch_{sheets[-1]}.png, "
            "got none."
        )
    paths = [folder / f"cifar10_batch_{sheet}.png" for sheet in present]
    for path in paths:
        header = read_header(path)
        if (header.width, header.height, header.mode, header.format) != (1024, _SHEET_IMAGES, "RGB", "PNG"):
            raise ValueError(
                f"{path}: expected a PNG of 1024 x {_SHEET_IMAGES} pixels in RGB, got a {header.format} of "
                f"{header.width} x {header.height} in {header.mode}."
            )
    end = (present[-1] + 1) * _SHEET_IMAGES
    if len(labels) < end:
        raise ValueError(
            f"{folder / _LABELS_FILE}: expected at least {end:,} labels for sheet {present[-1]}, got {len(labels):,}."
        )
    images = [read_image(path, height=_SHEET_IMAGES, width=1024).reshape(-1, 32, 32, 3) for path in paths]
    chosen = [labels[sheet * _SHEET_IMAGES : (sheet + 1) * _SHEET_IMAGES] for sheet in present]
    return _dataset(np.concatenate(images), np.concatenate(chosen), [path.name for path in paths], _SHEET_IMAGES)


def _check_labels(labels: np.ndarray, path: Path) -> None:
    wrong = np.flatnonzero(labels > 9)  # uint8 or digits: none is below 0
    if len(wrong):
        raise ValueError(
            f"{path}: expected labels 0..9, got {labels[wrong[0]]} for image {wrong[0]}; download it again."
        )


def _dataset(images: np.ndarray, labels: np.ndarray, names: Sequence[str], each: int) -> Dataset:
    paths = tuple(f"{name}#{index}" for name in names for index in range(each))
    return Dataset(images=images, labels=labels, class_names=CLASS_NAMES, paths=paths, name="CIFAR-10")
