"""The library's own file of images: HDF5 in the schema of SIGNS, the course's photos of hands.

A split is ``{split}_set_x`` (uint8 images) and ``{split}_set_y`` (labels), where ``split`` is ``train``, ``val`` or
``test``; ``list_classes`` names the classes. A file holds one split, as the course's do, or several. Files that this
library writes add ``{split}_set_source_file``, ``{split}_set_group`` where there are groups, the attributes
``dataset`` and ``fit``, how the images were fitted, and, for files that were left out, ``unreadable_file``,
``unreadable_reason`` and ``unreadable_temporary``, and the counts ``left_out_reason``, ``left_out_place``,
``left_out_suffix`` and ``left_out_count``.

In the cache, ``{split}_set_sha256`` has the SHA-256 of the file that each image came from.

They have checksums too: ``{split}_set_crc32`` has that of each image, which is compared when the image is read for the
first time, and the attribute ``sha256`` that of all the rest, which is compared whenever the file is opened.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from resnet50._io.files import atomic_path
from resnet50._io.hdf5 import H5File, check_dataset, create_h5, open_h5
from resnet50._io.limits import CLASSES, check_class_names
from resnet50._io.text import can_be_shown, printable
from resnet50.data.dataset import Dataset, Unreadable
from resnet50.data.fit import Fit
from resnet50.data.lazy_images import LazyImages
from resnet50.data.left_out import REASONS, LeftOut

MOST_BYTES = 16 << 30
"""Most bytes of one key, decompressed, that are read into memory: a file of a few KiB can declare TiB."""

MAPPED_FROM = 256 << 20
"""Bytes from which on a split's images are mapped from the file instead of read, if they are contiguous there."""

_DIGEST = "sha256"  # attribute with the checksum of everything but the pixels

_KEYS = {"train": "train", "validation": "val", "test": "test"}
_EXPECTED = "an HDF5 file in the schema of SIGNS"


def read_h5(path: str | os.PathLike[str]) -> dict[str, Dataset]:
    """Read and check every split in a file of the schema.

    Args:
        path: The file.

    Returns:
        One or more of ``"train"``, ``"validation"`` and ``"test"``, in this order, each as `read_split` returns it.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not HDF5, holds no split, or its keys, shapes, types or values are not those of the schema.
    """
    path = Path(path)
    with _opened(path) as file:
        splits = [split for split, key in _KEYS.items() if f"{key}_set_x" in file]
        if not splits:
            raise ValueError(f"{path}: expected the key train_set_x, val_set_x or test_set_x, got {_keys_of(file)}.")
        return {split: _read_one(file, path, split) for split in splits}


def read_split(path: str | os.PathLike[str], split: str) -> Dataset:
    """Read and check one split in a file of the schema.

    Args:
        path: The file.
        split: ``"train"``, ``"validation"`` or ``"test"``.

    Returns:
        The images, RGB uint8 ``(n, size, size, 3)``; labels in the course's ``(1, n)`` form become ``(n,)``. From
        `MAPPED_FROM` bytes on, uncompressed images are mapped into memory, so that only those in use take memory.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not HDF5, or its keys, shapes, types or values are not those of the schema.
    """
    path = Path(path)
    with _opened(path) as file:
        return _read_one(file, path, split)


@dataclass(frozen=True)
class Packing:
    """What a file of the schema records of its packing; the course's files record nothing.

    Attributes:
        fit: How the images were fitted; None if the file does not say.
        unreadable: Files that were left out because they could not be read.
        left_out: What else of the source is not used.
    """

    fit: Fit | None
    unreadable: tuple[Unreadable, ...]
    left_out: tuple[LeftOut, ...]


def read_packing(path: str | os.PathLike[str]) -> Packing:
    """Return what a file of the schema records of its packing.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not HDF5, or is damaged.
    """
    path = Path(path)
    with _opened(path) as file:
        return Packing(_fit(file, path), _unreadable(file, path), _left_out(file, path))


def read_file_hashes(path: str | os.PathLike[str]) -> dict[str, tuple[str, ...]]:
    """Return for each split the SHA-256 of the file that each image came from; empty for splits without them.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not HDF5, or is damaged.
    """
    path = Path(path)
    with _opened(path) as file:
        keys = {split: f"{key}_set_sha256" for split, key in _KEYS.items()}
        return {split: _texts(file, key, path) if key in file else () for split, key in keys.items()}


def write_split(dataset: Dataset, path: str | os.PathLike[str], split: str) -> None:
    """Write a dataset as the only split of a file, compressed, atomically.

    Args:
        dataset: The images.
        path: The file; one that exists is replaced once the new one is complete.
        split: ``"train"``, ``"validation"`` or ``"test"``.

    Raises:
        ValueError: If `read_split` would refuse the file: there are no images, or they are not square, or there is no
            class, or classes share a name, or have a name that cannot be printed.
    """
    if not _is_square_rgb(dataset.images.shape):
        raise ValueError(f"{path}: expected images (n, size, size, 3) to write, got {dataset.images.shape}.")
    with new_h5(path, dataset.class_names, dataset.name) as file:
        file.create_dataset(f"{_key(split)}_set_x", data=dataset.images, compression="gzip", compression_opts=1)
        checksums = [zlib.crc32(np.ascontiguousarray(image).data) for image in dataset.images]
        add_labels(file, split, dataset.labels, dataset.paths, dataset.groups, checksums=checksums)


@contextmanager
def new_h5(
    path: str | os.PathLike[str], class_names: Sequence[str], name: str, *, fit: Fit | None = None, room: int = 0
) -> Iterator[h5py.File]:
    """Open a new file of the schema to add splits to; it gets its name when the block ends without an error.

    The same content gives the same bytes. HDF5 1.10 and later read the file.

    Args:
        path: The file; one that exists is replaced once the new one is complete.
        class_names: Name of each class.
        name: Name of the dataset.
        fit: How its images are fitted; None where they were not.
        room: Bytes of disk to reserve for the file from the start, if known; the unused rest is freed.

    Yields:
        The open file.

    Raises:
        OSError: If the disk does not have that much room.
        ValueError: If there is no class, or classes share a name, or have a name that cannot be printed.
    """
    _check_names(class_names, f"{path}: expected class names")
    with atomic_path(path) as temporary, create_h5(temporary, room=room) as file:
        file["list_classes"] = _bytes(class_names)
        if name:  # of a fixed length, which needs no heap
            file.attrs["dataset"] = _bytes([name])[0]
        if fit is not None:
            file.attrs["fit"] = _bytes([json.dumps(fit.to_dict())])[0]
        yield file
        file.attrs[_DIGEST] = np.bytes_(_digest(file, Path(path)))


def add_images(file: h5py.File, split: str, count: int, image_size: int) -> h5py.h5d.DatasetID:
    """Allocate a split's images in a new file; they are then written one by one and take no memory here.

    A chunk is one uncompressed image, and all are allocated at once, so that they are contiguous and `read_split` can
    map them.

    Args:
        file: A file that `new_h5` opened.
        split: ``"train"``, ``"validation"`` or ``"test"``.
        count: Number of images; ``set_extent`` can make it smaller later.
        image_size: Their height and width in pixels.

    Returns:
        HDF5's handle: ``write_direct_chunk((k, 0, 0, 0), image)`` writes image k.
    """
    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    creation.set_chunk((1, image_size, image_size, 3))
    creation.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    creation.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    creation.set_obj_track_times(False)
    space = h5py.h5s.create_simple((count, image_size, image_size, 3))
    return h5py.h5d.create(file.id, f"{_key(split)}_set_x".encode(), h5py.h5t.STD_U8LE, space, creation)


def add_labels(
    file: h5py.File,
    split: str,
    labels: np.ndarray,
    paths: Sequence[str],
    groups: Sequence[str] = (),
    *,
    checksums: Sequence[int] = (),
    file_hashes: Sequence[str] = (),
) -> None:
    """Write everything of a split but its pixels.

    Args:
        file: A file that `new_h5` opened.
        split: ``"train"``, ``"validation"`` or ``"test"``.
        labels: int64 ``(n,)``.
        paths: Where each image came from.
        groups: Group of each image; empty for none.
        checksums: CRC-32 of each image's pixels; empty for none, which leaves the pixels unverified.
        file_hashes: SHA-256 of the file that each image came from; empty for none.
    """
    key = _key(split)
    if len(checksums):
        file[f"{key}_set_crc32"] = np.array(checksums, dtype=np.uint32)
    file[f"{key}_set_y"] = labels
    file[f"{key}_set_source_file"] = _bytes(paths)
    if groups:
        file[f"{key}_set_group"] = _bytes(groups)
    if file_hashes:
        file[f"{key}_set_sha256"] = _bytes(file_hashes)


def add_unreadable(file: h5py.File, unreadable: Sequence[Unreadable]) -> None:
    """Write which files were left out, and why.

    Args:
        file: A file that `new_h5` opened.
        unreadable: The files; nothing is written if there are none.
    """
    if unreadable:
        file["unreadable_file"] = _bytes([each.path for each in unreadable])
        file["unreadable_reason"] = _bytes([each.reason for each in unreadable])
        file["unreadable_temporary"] = np.array([each.temporary for each in unreadable], dtype=np.uint8)


def add_left_out(file: h5py.File, left_out: Sequence[LeftOut]) -> None:
    """Write what else of the source is not used.

    Args:
        file: A file that `new_h5` opened.
        left_out: The counts; nothing is written if there are none.
    """
    if left_out:
        file["left_out_reason"] = _bytes([each.reason for each in left_out])
        file["left_out_place"] = _bytes([each.place for each in left_out])
        file["left_out_suffix"] = _bytes([each.suffix for each in left_out])
        file["left_out_count"] = np.array([each.count for each in left_out], dtype=np.int64)


def _key(split: str) -> str:
    if split not in _KEYS:
        raise ValueError(f"expected a split, one of {', '.join(_KEYS)}, got {split!r}.")
    return _KEYS[split]


def _bytes(texts: Sequence[str]) -> np.ndarray:
    # a path is often a file name, which need not be UTF-8 on Linux
    return np.array([text.encode("utf-8", "surrogateescape") for text in texts])


def _read_one(file: H5File, path: Path, split: str) -> Dataset:
    key = _key(split)
    x, y, classes = (_dataset(file, name, path) for name in (f"{key}_set_x", f"{key}_set_y", "list_classes"))
    if not _is_square_rgb(x.shape):
        raise ValueError(f"{path}: expected {key}_set_x of shape (n, size, size, 3), got {x.shape}.")
    if x.dtype != np.uint8:
        raise ValueError(f"{path}: expected {key}_set_x of type uint8 (0..255), got {x.dtype}.")
    if y.shape not in ((len(x),), (1, len(x))):
        raise ValueError(
            f"{path}: expected {key}_set_y of shape ({len(x)},) or (1, {len(x)}) for {len(x)} images, got {y.shape}."
        )
    class_names = _names(classes, path)
    images = _verified(_images(file, x, path), file, f"{key}_set_crc32", path)
    labels = _labels(y, len(class_names), path)
    paths = tuple(f"{path.name}#{index}" for index in range(len(x)))
    for source_key in (f"{key}_set_source_file", "source_file"):  # the second may be in files of one split
        sources = file.get(source_key)
        if isinstance(sources, h5py.Dataset) and sources.shape == (len(x),) and _is_text(sources):
            paths = tuple(_text(source) for source in _read(sources, path))
            break
    groups = _texts(file, f"{key}_set_group", path) if f"{key}_set_group" in file else ()
    if groups and len(groups) != len(x):
        raise ValueError(f"{path}: expected {key}_set_group of shape ({len(x)},), got ({len(groups)},).")
    attribute = file.attrs.get("dataset")
    name = printable(" ".join(_shown(attribute).split())) if isinstance(attribute, str | bytes) else ""
    if not name:  # the course's files have no name
        name = "SIGNS" if class_names == tuple("012345") else path.stem
    return Dataset(images=images, labels=labels, class_names=class_names, paths=paths, name=name, groups=groups)


@contextmanager
def _opened(path: Path) -> Iterator[H5File]:
    """Open a file of the schema, and compare the checksum of everything in it but its pixels, where it has one."""
    with open_h5(path, expected=_EXPECTED) as file, _damage_reported(path):
        stored = file.attrs.get(_DIGEST)
        if stored is not None and _digest(file, path) != bytes(stored):
            raise ValueError(
                f"{path}: expected the labels and names that were written, got others (the checksum differs); make or "
                "fetch the file again."
            )
        yield file


def _digest(file: h5py.File, path: Path) -> bytes:
    """Hash the attributes and every key but the pixels, of which it hashes the shape."""
    digest = hashlib.sha256(b"\0".join(bytes(file.attrs.get(name, b"")) for name in ("dataset", "fit")))
    for key in sorted(file):
        dataset = _dataset(file, key, path)
        digest.update(repr((key, dataset.shape, dataset.dtype.str)).encode())
        if not key.endswith("_set_x"):
            digest.update(np.ascontiguousarray(_read(dataset, path)).data)
    return digest.hexdigest().encode()


def _verified(images: np.ndarray, file: h5py.File, key: str, path: Path) -> np.ndarray | LazyImages:
    """Compare the checksums of images where there are some: now, or where they lie in the file, when they are read."""
    if key not in file:
        return images
    stored = _dataset(file, key, path)
    if stored.shape != (len(images),) or stored.dtype != np.uint32:
        raise ValueError(f"{path}: expected {key} of type uint32 ({len(images)},), got {stored.dtype} {stored.shape}.")
    check = _Checksums(path, _read(stored, path))
    if isinstance(images, np.memmap):
        return LazyImages(images, np.arange(len(images)), check=check)
    check(np.arange(len(images)), images)
    return images


class _Checksums:
    """Compare the checksum of each image when it is read for the first time.

    Args:
        path: The file.
        expected: CRC-32 of each image's pixels.
    """

    def __init__(self, path: Path, expected: np.ndarray) -> None:
        self._path, self._expected = path, expected
        self._checked = np.zeros(len(expected), dtype=bool)

    def __call__(self, indices: np.ndarray, images: np.ndarray) -> None:
        for place in np.flatnonzero(~self._checked[indices]):
            index = indices[place]
            if zlib.crc32(np.ascontiguousarray(images[place]).data) != self._expected[index]:
                raise ValueError(
                    f"{self._path}: expected the pixels that were written, got others in image {index} (the checksum "
                    "differs); remove the file and make or fetch it again."
                )
            self._checked[index] = True


@contextmanager
def _damage_reported(path: Path) -> Iterator[None]:
    """Turn the many types of error that h5py raises for a damaged or foreign file into one."""
    try:
        yield
    except (KeyError, MemoryError, OSError, RuntimeError, TypeError) as error:
        raise ValueError(
            f"{path}: expected {_EXPECTED}, got one that is damaged or has types that h5py does not know "
            f"({_one_line(error)}); make or fetch the file again."
        ) from error


def _dataset(file: h5py.File, key: str, path: Path) -> h5py.Dataset:
    if isinstance(file.get(key, getlink=True), h5py.ExternalLink):
        raise ValueError(f"{path}: expected the HDF5 dataset {key} in the file itself, got a link to another file.")
    value = file.get(key)
    if not isinstance(value, h5py.Dataset):
        if key in (str(name) for name in file):
            actual = "a group" if isinstance(value, h5py.Group) else "a link to nothing"
            raise ValueError(f"{path}: expected the HDF5 dataset {key}, got {actual}.")
        raise ValueError(f"{path}: expected the key {key}, got {_keys_of(file)}.")
    return value


def _keys_of(file: h5py.File) -> str:
    keys = [str(name) for name in file]  # h5py gives bytes for a name that is not UTF-8
    shown = ", ".join(name if name.isprintable() else repr(name) for name in keys[:10])
    return (shown or "no keys at all") + (", …" if len(keys) > 10 else "")


def _images(file: H5File, dataset: h5py.Dataset, path: Path) -> np.ndarray:
    start = _start(file, dataset) if dataset.nbytes >= MAPPED_FROM else None
    if start is None:
        return _read(dataset, path)
    # by the open file's own handle: its name may have passed to another file meanwhile
    return np.memmap(file.raw, np.uint8, "r", start, dataset.shape)


def _start(file: H5File, dataset: h5py.Dataset) -> int | None:
    """Return the offset in the file from which on the bytes of all images are contiguous, or None if they are not."""
    stored = dataset.id
    creation = stored.get_create_plist()
    plain_type = stored.get_type() in (h5py.h5t.STD_U8LE, h5py.h5t.STD_U8BE)
    if not plain_type or creation.get_nfilters() or dataset.is_virtual or dataset.external:
        return None
    image = math.prod(dataset.shape[1:])
    if dataset.chunks is None:
        start = stored.get_offset()
    elif dataset.chunks == (1, *dataset.shape[1:]) and stored.get_num_chunks() == len(dataset):
        start = stored.get_chunk_info(0).byte_offset
        stray = stored.chunk_iter(
            lambda chunk: None if chunk.byte_offset == start + chunk.chunk_offset[0] * image else chunk
        )
        if stray is not None:
            return None
    else:
        return None
    size = os.fstat(file.raw.fileno()).st_size
    return start if start is not None and start + len(dataset) * image <= size else None


def _read(dataset: h5py.Dataset, path: Path) -> np.ndarray:
    if dataset.nbytes > MOST_BYTES:
        raise ValueError(
            f"{path}: expected {dataset.name} to have at most {MOST_BYTES / 2**30:g} GiB, got one that declares "
            f"{dataset.nbytes / 2**30:.1f} GiB."
        )
    if dataset.is_virtual or dataset.external:
        raise ValueError(f"{path}: expected {dataset.name} in the file itself, got one that lies in other files.")
    check_dataset(dataset)
    # HDF5 returns zeros for values that were never written, which would pass for black images and for class 0
    if dataset.chunks is None:
        complete = dataset.id.get_storage_size() >= dataset.size * dataset.id.get_type().get_size()
    else:
        chunks = math.prod(-(-length // step) for length, step in zip(dataset.shape, dataset.chunks, strict=True))
        complete = dataset.id.get_num_chunks() >= chunks
    if not complete:
        raise ValueError(
            f"{path}: expected {dataset.name} to be complete, got one that was not written to its end; make or "
            "fetch the file again."
        )
    return dataset[()]


def _fit(file: h5py.File, path: Path) -> Fit | None:
    attribute = file.attrs.get("fit")
    if attribute is None:
        return None
    try:
        return Fit.from_dict(json.loads(_text(attribute)))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: expected the attribute fit to be a fit in JSON, got another ({error})") from error


def _unreadable(file: h5py.File, path: Path) -> tuple[Unreadable, ...]:
    if "unreadable_file" not in file:
        return ()
    names, reasons = (_texts(file, key, path) for key in ("unreadable_file", "unreadable_reason"))
    temporary = _read(_dataset(file, "unreadable_temporary", path), path).astype(bool).tolist()
    return tuple(Unreadable(*each) for each in zip(names, reasons, temporary, strict=False))


def _left_out(file: h5py.File, path: Path) -> tuple[LeftOut, ...]:
    if "left_out_reason" not in file:
        return ()
    columns = [_texts(file, key, path) for key in ("left_out_reason", "left_out_place", "left_out_suffix")]
    counts = _read(_dataset(file, "left_out_count", path), path)
    rows = zip(*columns, counts.tolist(), strict=False)
    return tuple(LeftOut(*row) for row in rows if row[0] in REASONS)


def _texts(file: h5py.File, key: str, path: Path) -> tuple[str, ...]:
    dataset = _dataset(file, key, path)
    if dataset.ndim != 1 or not _is_text(dataset):
        raise ValueError(f"{path}: expected {key} to be a list of text, got {dataset.dtype} {dataset.shape}.")
    return tuple(_text(value) for value in _read(dataset, path))


def _is_square_rgb(shape: tuple[int, ...] | None) -> bool:
    return shape is not None and len(shape) == 4 and shape[1] == shape[2] and shape[3] == 3 and 0 not in shape


def _names(classes: h5py.Dataset, path: Path) -> tuple[str, ...]:
    if classes.ndim != 1:
        raise ValueError(f"{path}: expected list_classes of shape (classes,), got {classes.shape}.")
    if classes.dtype.kind not in "iu" and not _is_text(classes):
        raise ValueError(f"{path}: expected list_classes of text or whole numbers, got {classes.dtype}.")
    expected = f"{path}: expected list_classes"
    if classes.size > CLASSES:
        raise ValueError(f"{expected} of at most {CLASSES:,}, got {classes.size:,}.")
    names = tuple(_shown(name) for name in _read(classes, path))
    _check_names(names, expected)
    return names


def _check_names(names: Sequence[str], expected: str) -> None:
    if not names:
        raise ValueError(f"{expected}, at least 1, got 0.")
    check_class_names(names, expected)
    for name in names:
        if not can_be_shown(name):
            raise ValueError(f"{expected} that can be printed, got {name!r}.")
    if len(set(names)) < len(names):
        repeated, _ = Counter(names).most_common(1)[0]
        raise ValueError(f"{expected} that differ, got {repeated} more than once.")


def _labels(y: h5py.Dataset, classes: int, path: Path) -> np.ndarray:
    expected = f"{path}: expected {(y.name or '').removeprefix('/')}"
    if y.dtype.kind not in "iuf":
        raise ValueError(f"{expected} of whole numbers, got {y.dtype}.")
    values = _read(y, path).reshape(-1)
    if values.dtype.kind == "f":
        if not np.isfinite(values).all():
            raise ValueError(f"{expected} of whole numbers, got NaN or infinity.")
        if (values != np.rint(values)).any():
            raise ValueError(f"{expected} of whole numbers, got {values[values != np.rint(values)][0]}.")
    if values.min() < 0 or values.max() >= classes:
        raise ValueError(f"{expected} within 0..{classes - 1}, got {values.min()}..{values.max()}.")
    return values.astype(np.int64)


def _is_text(dataset: h5py.Dataset) -> bool:
    return h5py.check_string_dtype(dataset.dtype) is not None


def _text(value: object) -> str:
    """Decode what `_bytes` encoded."""
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)


def _shown(value: object) -> str:
    """Decode text that is only shown, without bytes that are not UTF-8."""
    return _text(value).encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
