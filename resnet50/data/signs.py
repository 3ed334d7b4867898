"""SIGNS, the course's photos of hands that show 0 to 5, in its HDF5 schema: the library's own on-disk format too.

A file of one part holds ``{part}_set_x`` (uint8 pictures), ``{part}_set_y`` (labels) and ``list_classes``, where
``part`` is ``train`` or ``test``. Files that this library writes add ``source_file`` and the attribute ``dataset``.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from resnet50.data.split import Split
from resnet50.download import Download, Progress, cache_folder, fetch
from resnet50.files import atomic_path, open_h5

TRAIN_FILE = "train_signs.h5"
TEST_FILE = "test_signs.h5"

_COURSE = "https://raw.githubusercontent.com/shivanshuman021/HandSigns-Indentifier/86467f48a34c39a79cc7f933ec8753e73b384478/datasets"

SIGNS = (
    Download(
        name=TRAIN_FILE,
        urls=(
            f"{_COURSE}/train_signs.h5",
            "https://raw.githubusercontent.com/LoqmanSamani/deep-learning/020451f693ccf6ecde606b70589bce43f7ee1fe0/data/train_signs.h5",
        ),
        limit=16 << 20,
        git_blob="15904fbeb148848aea50d42c96a539b7bd11c4e5",
    ),
    Download(
        name=TEST_FILE,
        urls=(
            f"{_COURSE}/test_signs.h5",
            "https://raw.githubusercontent.com/rohitbv998/Retinal-Vessel-Segmentation-using-Deep-Learning/2a8d6ded7da00e8679ea27b6b9d7f9550e5d5fa1/datasets/test_signs.h5",
        ),
        limit=2 << 20,
        git_blob="ac34131b87c829b90f5c0913f90d509f1c1f8ed0",
        sha256_start="539fb746ed9e947e",
    ),
)
"""The course's two files of hand signs."""

MOST_BYTES = 16 << 30
"""Most bytes of one key, decompressed, that are read: pictures are held in memory, and a few KiB can declare TiB."""


def fetch_signs(folder: str | os.PathLike[str] | None = None, *, progress: Progress | None = None) -> Path:
    """Fetch the course's two files of hand signs, as far as they are not there yet.

    Args:
        folder: Where to put them; ``signs`` in `cache_folder` by default.
        progress: Called as a file grows, first for the training file, then for the test file.

    Returns:
        The folder, which holds ``train_signs.h5`` and ``test_signs.h5``: what `load_signs` takes.

    Raises:
        DownloadError: If a file can be had from none of its addresses, or cannot be written.
    """
    folder = cache_folder() / "signs" if folder is None else Path(folder)
    for download in SIGNS:
        fetch(download, folder, progress=progress)
    return folder


def load_signs(train: str | os.PathLike[str], test: str | os.PathLike[str] | None = None) -> tuple[Split, Split]:
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
    with open_h5(path, needed="an HDF5 file in the schema of SIGNS") as file, _damage_told(path):
        x, y, classes = (_dataset(file, key, path) for key in (f"{part}_set_x", f"{part}_set_y", "list_classes"))
        if not _is_square_rgb(x.shape):
            raise ValueError(f"{path}: needed {part}_set_x of shape (n, side, side, 3), found {x.shape}.")
        if x.dtype != np.uint8:
            raise ValueError(f"{path}: needed {part}_set_x of type uint8 (0..255), found {x.dtype}.")
        if y.shape not in ((len(x),), (1, len(x))):
            raise ValueError(
                f"{path}: needed {part}_set_y of shape ({len(x)},) or (1, {len(x)}) for {len(x)} pictures, "
                f"found {y.shape}."
            )
        class_names = _names(classes, path)
        images = _read(x, path)
        labels = _labels(y, len(class_names), path)
        where = file.get("source_file")
        if isinstance(where, h5py.Dataset) and where.shape == (len(x),) and _is_text(where):
            sources = tuple(_text(name) for name in _read(where, path))
        else:
            sources = tuple(f"{path.name}#{index}" for index in range(len(x)))
        name = file.attrs.get("dataset")
        dataset = " ".join(_text(name).split()) if isinstance(name, str | bytes) else ""
    if not dataset:  # the course's files do not say what they hold
        dataset = "SIGNS" if class_names == tuple("012345") else path.stem
    return Split(images=images, labels=labels, class_names=class_names, sources=sources, dataset=dataset)


def write_signs(split: Split, path: str | os.PathLike[str], part: str) -> None:
    """Write a split in the schema of SIGNS, atomically.

    Args:
        split: What to write.
        path: The file; one that exists is replaced once the new one is complete.
        part: ``"train"`` or ``"test"``: prefix of the keys.

    Raises:
        ValueError: If `read_signs` would refuse the file: there are no pictures, or they are not square, or the classes
            are fewer than two, of the same name, or of a name that cannot be printed.
    """
    if not _is_square_rgb(split.images.shape):
        raise ValueError(f"{path}: needed pictures (n, side, side, 3) to write, got {split.images.shape}.")
    _check_names(split.class_names, f"{path}: needed class names")
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        file.create_dataset(f"{part}_set_x", data=split.images, compression="gzip", compression_opts=1)
        file[f"{part}_set_y"] = split.labels
        file["list_classes"] = np.array([name.encode() for name in split.class_names])
        file["source_file"] = np.array(
            # A source is often a file name, which need not be UTF-8 on Linux.
            [source.encode("utf-8", "surrogateescape") for source in split.sources]
        )
        file.attrs["dataset"] = split.dataset


@contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    """Turn the many kinds of error that h5py raises on a damaged or strange file into one."""
    try:
        yield
    except (KeyError, MemoryError, OSError, RuntimeError, TypeError) as error:
        raise ValueError(
            f"{path} cannot be read, it is damaged or holds what h5py does not know ({_one_line(error)})."
        ) from error


def _dataset(file: h5py.File, key: str, path: Path) -> h5py.Dataset:
    value = file.get(key)
    if not isinstance(value, h5py.Dataset):
        keys = [str(name) for name in file]  # h5py gives bytes for a name that is not UTF-8
        if key in keys:
            found = "a group" if isinstance(value, h5py.Group) else "a link that leads to none"
            raise ValueError(f"{path}: needed the data set {key}, found {found}.")
        shown = ", ".join(name if name.isprintable() else repr(name) for name in keys[:10])
        more = ", …" if len(keys) > 10 else ""
        raise ValueError(f"{path}: needed the key {key}, found {shown or 'no keys at all'}{more}.")
    return value


def _read(dataset: h5py.Dataset, path: Path) -> np.ndarray:
    if dataset.nbytes > MOST_BYTES:
        raise ValueError(
            f"{path}: {dataset.name} declares {dataset.nbytes / 2**30:.1f} GiB, the most that is read is "
            f"{MOST_BYTES / 2**30:g} GiB."
        )
    if dataset.is_virtual or dataset.external:
        raise ValueError(f"{path}: needed {dataset.name} in the file itself, found that it lies in other files.")
    # HDF5 gives zeros for what was never written, which would pass for black pictures and for class 0.
    if dataset.chunks is None:
        complete = dataset.id.get_storage_size() >= dataset.size * dataset.id.get_type().get_size()
    else:
        chunks = math.prod(-(-length // step) for length, step in zip(dataset.shape, dataset.chunks, strict=True))
        complete = dataset.id.get_num_chunks() >= chunks
    if not complete:
        raise ValueError(f"{path}: {dataset.name} was never written to its end; make or fetch the file again.")
    return dataset[()]


def _is_square_rgb(shape: tuple[int, ...] | None) -> bool:
    return shape is not None and len(shape) == 4 and shape[1] == shape[2] and shape[3] == 3 and 0 not in shape


def _names(classes: h5py.Dataset, path: Path) -> tuple[str, ...]:
    if classes.ndim != 1:
        raise ValueError(f"{path}: needed list_classes of shape (classes,), found {classes.shape}.")
    if classes.dtype.kind not in "iu" and not _is_text(classes):
        raise ValueError(f"{path}: needed list_classes of text or whole numbers, found {classes.dtype}.")
    names = tuple(_text(name) for name in _read(classes, path))
    _check_names(names, f"{path}: needed list_classes")
    return names


def _check_names(names: Sequence[str], needed: str) -> None:
    if len(names) < 2:
        raise ValueError(f"{needed}, at least 2, found {len(names)}.")
    for name in names:
        if not name or not name.isprintable():
            raise ValueError(f"{needed} that can be printed, found {name!r}.")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{needed} that differ, found {twice} more than once.")


def _labels(y: h5py.Dataset, classes: int, path: Path) -> np.ndarray:
    needed = f"{path}: needed {(y.name or '').removeprefix('/')}"
    if y.dtype.kind not in "iuf":
        raise ValueError(f"{needed} of whole numbers, found {y.dtype}.")
    values = _read(y, path).reshape(-1)
    if values.dtype.kind == "f":
        if not np.isfinite(values).all():
            raise ValueError(f"{needed} of whole numbers, found NaN or infinity.")
        if (values != np.rint(values)).any():
            raise ValueError(f"{needed} of whole numbers, found {values[values != np.rint(values)][0]}.")
    if values.min() < 0 or values.max() >= classes:
        raise ValueError(f"{needed} within 0..{classes - 1}, found {values.min()}..{values.max()}.")
    return values.astype(np.int64)


def _is_text(dataset: h5py.Dataset) -> bool:
    return h5py.check_string_dtype(dataset.dtype) is not None


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
