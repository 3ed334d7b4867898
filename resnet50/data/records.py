"""A source of encoded images: ArrayRecord shards of image files as they are, and a manifest that describes them.

A folder holds `MANIFEST` and its shards, each a file of records in the format of the package ``array_record``. A record
is the content of an image file. The manifest knows everything else, so that reading a source of a million images starts
with this one file: classes, splits, groups, paths, SHA-256 and header of each image, and its near-duplicates, which
were searched for when the images were packed (`resnet50.data.pack_records`). Images are decoded when they are indexed.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from resnet50._io.files import atomic_path
from resnet50._io.limits import check_class_names
from resnet50._io.paths import describe_path
from resnet50._io.text import can_be_shown, short
from resnet50._io.workers import in_order
from resnet50.data.cache import DECODING
from resnet50.data.dataset import Dataset, Unreadable
from resnet50.data.encoded_image import EncodedImage
from resnet50.data.fit import DEFAULT_FIT, Fit
from resnet50.data.headers import Headers
from resnet50.data.images import Header
from resnet50.data.lazy_images import LazyImages
from resnet50.data.left_out import REASONS, LeftOut
from resnet50.data.listing import SPLITS
from resnet50.data.near_duplicates import Copies, LookAlikes, NearDuplicates, Pairs
from resnet50.data.options import DEFAULT_OPTIONS, ReadOptions
from resnet50.data.splits import DatasetSplits
from resnet50.data.texts import Texts

MANIFEST = "manifest.npz"
"""Name of the file that describes the records of a folder."""

INSTALL = "pip install 'resnet50[records]'"
"""What installs the package that reads and writes ArrayRecord files."""

MOST_BYTES = 8 << 30
"""Most bytes of a manifest, which has about a hundred for each image."""

MOST_RECORD_BYTES = 1 << 30
"""Most bytes of an image file."""

_FORMAT = 1
_BLOCK = 65_536  # rows that are lists of Python at a time
_UNKNOWN = Header(0, 0, "", "", oriented=False)  # in place of one that could not be read
# each shard has a reader that keeps the places of its records; without buffers it is the fastest at random places
_READING = "readahead_buffer_size:0,max_parallelism:0"
_ONE = 32_768  # bytes of a shard that are read at a time
_MOST_OPEN = 128  # readers: each has its file open, of which a process may have 1,024, and 256 on macOS
_DAMAGED = "copy the folder again, or pack the images again"

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Manifest:
    """What is known of the records of a folder, but for their content.

    Attributes:
        name: Name of the dataset.
        class_names: Name of each class.
        labels: Class of each record, int64 ``(n,)``.
        counts: Number of records of the splits train, validation and test, which are in this order.
        paths: Path of each image file below the packed source, `Texts` where they were read or packed.
        groups: Group of each image, "" for none; () if there are no groups.
        sha256: SHA-256 of each record, uint8 ``(n, 32)``.
        shard_records: Number of records of each shard, int64 ``(shards,)``.
        shard_bytes: Size of each shard's file, int64 ``(shards,)``.
        headers: Header of each image file, None where it could not be read.
        near_duplicates: Those among the images, numbered as the records; None where only copies were searched for.
        copies: Which images are identical.
        single_color: Which images show a single color, bool ``(n,)``.
        value_range: Values that become black and white in images of more than 8 bits; None without such images.
        unreadable: Files that were left out since they cannot be read.
        left_out: What else of the source was not packed.
    """

    name: str
    class_names: tuple[str, ...]
    labels: np.ndarray
    counts: tuple[int, ...]
    paths: Sequence[str]
    groups: tuple[str, ...]
    sha256: np.ndarray
    shard_records: np.ndarray
    shard_bytes: np.ndarray
    headers: Headers
    copies: Copies
    single_color: np.ndarray
    near_duplicates: NearDuplicates | None = None
    value_range: tuple[float, float] | None = None
    unreadable: tuple[Unreadable, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    def write(self, path: Path) -> None:
        """Write the manifest, atomically."""
        kinds: dict[tuple[Any, ...], int] = {}
        rows = [
            (each.width, each.height, kinds.setdefault(_kind(each), len(kinds)))
            for each in (header or _UNKNOWN for header in self.headers.kinds)
        ]
        about = {
            "format": _FORMAT,
            "name": self.name,
            "class_names": self.class_names,
            "counts": self.counts,
            "headers": list(kinds),
            "value_range": self.value_range,
            "unreadable": [[each.path, each.reason, each.temporary] for each in self.unreadable],
            "left_out": [[each.reason, each.place, each.suffix, each.count] for each in self.left_out],
            "look_alike_distance": None,
        }
        found = self.near_duplicates
        arrays: dict[str, Any] = {
            "labels": self.labels.astype(np.int32),
            **_texts("path", self.paths),
            "sha256": self.sha256,
            "shard_records": self.shard_records,
            "shard_bytes": self.shard_bytes,
            "headers": np.array(rows, np.uint32).reshape(-1, 3)[self.headers.numbers],
            "copies": np.stack([self.copies.thumbnails, self.copies.mirrored]).astype(np.int32),
            "single_color": self.single_color,
        }
        if self.groups:
            names = {name: number for number, name in enumerate(dict.fromkeys(self.groups))}
            arrays |= {
                **_texts("group", tuple(names)),
                "groups": np.array([names[each] for each in self.groups], np.int32),
            }
        if found is not None:
            arrays |= {
                "near_duplicates": found.groups.astype(np.int32),
                **_pairs("pair", found.stored or ()),
                **_pairs("mirrored", found.mirrored or ()),
            }
            if found.look_alikes is not None:
                about["look_alike_distance"] = found.look_alikes.distance
                arrays["look_alikes"] = found.look_alikes.numbers.astype(np.int32)
        with atomic_path(path) as temporary:
            np.savez(temporary, about=np.array(json.dumps(about)), **arrays)

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """Read what `write` wrote.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is another file, or damaged.
        """
        if not path.is_file():
            raise FileNotFoundError(f"{path}: expected the manifest of packed records, got {describe_path(path)}.")
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(f"{path}: expected a manifest of at most {MOST_BYTES >> 30} GiB, got a larger file.")
        try:
            with zipfile.ZipFile(path) as archive:
                if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
                    raise ValueError("compressed arrays")  # a few bytes could unpack to any number
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            return _manifest(arrays)
        except Exception as error:  # a damaged file raises those of zipfile, zlib, json and NumPy
            raise ValueError(
                f"{path}: expected the manifest of packed records, got a damaged or other file "
                f"({short(' '.join(str(error).split()) or type(error).__name__)}); {_DAMAGED}."
            ) from error


def _kind(header: Header) -> tuple[Any, ...]:
    """Return what many headers share."""
    return header.mode, header.format, header.oriented, header.deep, header.more_frames


def _texts(name: str, texts: Sequence[str]) -> dict[str, np.ndarray]:
    content, ends = (texts if isinstance(texts, Texts) else Texts.of(texts)).arrays
    return {f"{name}_bytes": content, f"{name}_ends": ends}


def _read_texts(arrays: Arrays, name: str) -> Texts:
    content, ends = arrays[f"{name}_bytes"], arrays[f"{name}_ends"]
    _check(content, f"{name}_bytes", np.uint8, content.size, 256)
    _check(ends, f"{name}_ends", np.int64, ends.size, content.size + 1)
    if (np.diff(ends) < 0).any():
        raise ValueError(f"{name}_ends that do not ascend")
    return Texts(content, ends)


def _pairs(name: str, blocks: Sequence[Pairs]) -> dict[str, np.ndarray]:
    first, second, distance = (
        np.concatenate([np.zeros(0), *(getattr(pairs, column) for pairs in blocks)]) for column in Pairs._fields
    )
    return {f"{name}_images": np.stack([first, second]).astype(np.int32), f"{name}_distance": distance}


def _read_pairs(arrays: Arrays, name: str, count: int) -> tuple[Pairs, ...]:
    images, distance = arrays[f"{name}_images"], arrays[f"{name}_distance"]
    _check(images, name, np.int32, (2, len(distance)), count)
    if (
        distance.dtype != np.float64
        or distance.ndim != 1
        or not (distance >= 0).all()
        or (images[0] >= images[1]).any()
    ):
        raise ValueError(f"{name}: pairs that are none")
    return (Pairs(images[0].astype(np.int64), images[1].astype(np.int64), distance),) if len(distance) else ()


def _check(array: np.ndarray, name: str, dtype: Any, shape: int | tuple[int, ...], end: int) -> None:
    """Refuse an array of another type or shape, or with a number outside ``0..end - 1``."""
    if array.dtype != dtype or array.shape != (shape if isinstance(shape, tuple) else (shape,)):
        raise ValueError(f"{name} of type {array.dtype} {array.shape}")
    if array.size and not 0 <= array.min() <= array.max() < end:
        raise ValueError(f"{name} from {array.min()} to {array.max()}, expected 0..{end - 1}")


def _manifest(arrays: Arrays) -> Manifest:
    """Return the manifest with these arrays, each of which is checked."""
    about = json.loads(str(arrays["about"]))
    if about["format"] != _FORMAT:
        raise ValueError(f"the format {about['format']!r} of another version of resnet50")
    names, count = tuple(map(str, about["class_names"])), len(arrays["labels"])
    check_class_names(names, "class names")
    if not names or len(set(names)) < len(names) or not all(map(can_be_shown, names)):
        raise ValueError("class names that are none, repeated, or cannot be printed")
    _check(arrays["labels"], "labels", np.int32, count, len(names))
    _check(arrays["sha256"], "sha256", np.uint8, (count, 32), 256)
    _check(arrays["copies"], "copies", np.int32, (2, count), 2 * count)
    _check(arrays["single_color"], "single_color", np.bool_, count, 2)
    _check(arrays["headers"], "headers", np.uint32, (count, 3), 1 << 32)
    shards = len(arrays["shard_records"])
    _check(arrays["shard_records"], "shard_records", np.int64, shards, count + 1)
    _check(arrays["shard_bytes"], "shard_bytes", np.int64, shards, 1 << 62)
    counts = tuple(map(int, about["counts"]))
    if len(counts) != len(SPLITS) or min(counts) < 0 or sum(counts) != count:
        raise ValueError(f"splits of {short(counts)} records, expected {count}")
    if arrays["shard_records"].sum() != count:
        raise ValueError("shards of another number of records")
    paths = _read_texts(arrays, "path")
    if len(paths) != count:
        raise ValueError(f"{len(paths)} paths for {count} records")
    value_range = about["value_range"]
    if value_range is not None:
        value_range = Fit(value_range=tuple(value_range)).value_range
    copies = Copies(*arrays["copies"])
    return Manifest(
        name=str(about["name"]),
        class_names=names,
        labels=arrays["labels"].astype(np.int64),
        counts=counts,
        paths=paths,
        groups=_read_groups(arrays, count),
        sha256=arrays["sha256"],
        shard_records=arrays["shard_records"],
        shard_bytes=arrays["shard_bytes"],
        headers=_read_headers(arrays["headers"], about["headers"]),
        copies=copies,
        single_color=arrays["single_color"],
        near_duplicates=_read_near_duplicates(arrays, about["look_alike_distance"], count),
        value_range=value_range,
        unreadable=tuple(Unreadable(str(path), str(why), bool(once)) for path, why, once in about["unreadable"]),
        left_out=tuple(
            LeftOut(why, str(place), str(suffix), int(number))
            for why, place, suffix, number in about["left_out"]
            if why in REASONS
        ),
    )


def _read_groups(arrays: Arrays, count: int) -> tuple[str, ...]:
    if "groups" not in arrays:
        return ()
    names = tuple(_read_texts(arrays, "group"))
    _check(arrays["groups"], "groups", np.int32, count, len(names))
    return tuple(names[number] for number in arrays["groups"].tolist())


def _read_headers(rows: np.ndarray, kinds: Sequence[Sequence[Any]]) -> Headers:
    """Return a header for each row: width, height and the number of a kind."""
    _check(rows[:, 2], "kinds of headers", np.uint32, len(rows), len(kinds))
    known: dict[tuple[int, ...], int] = {}
    blocks = (rows[start : start + _BLOCK].T.tolist() for start in range(0, len(rows), _BLOCK))
    each = (known.setdefault(row, len(known)) for block in blocks for row in zip(*block, strict=True))
    numbers = np.fromiter(each, np.int32, len(rows))  # to sort the rows would take more memory
    made = list[Header | None]()
    for width, height, kind in known:
        mode, file_format, *flags = kinds[kind]
        readable = width and height
        made.append(Header(width, height, str(mode), str(file_format), *map(bool, flags)) if readable else None)
    return Headers(made, numbers)


def _read_near_duplicates(arrays: Arrays, look_alike_distance: float | None, count: int) -> NearDuplicates | None:
    if "near_duplicates" not in arrays:
        return None
    groups = arrays["near_duplicates"]
    _check(groups, "near_duplicates", np.int32, count, count)
    if (np.diff(np.maximum.accumulate(groups), prepend=-1) > 1).any():
        raise ValueError("near_duplicates that are not counted in order of first appearance")
    look_alikes = None
    if look_alike_distance is not None:
        numbers = arrays["look_alikes"]
        _check(numbers, "look_alikes", np.int32, len(numbers), count)
        without_pixels = np.zeros((len(numbers), 0, 0, 3), np.uint8)
        look_alikes = LookAlikes(numbers.astype(np.int64), without_pixels, float(look_alike_distance))
    return NearDuplicates(
        None,
        arrays["single_color"],
        groups.astype(np.int64),
        _read_pairs(arrays, "pair", count),
        look_alikes,
        mirrored=_read_pairs(arrays, "mirrored", count),
    )


def is_records(path: str | os.PathLike[str]) -> bool:
    """Return whether a folder holds packed records."""
    return Path(path, MANIFEST).is_file()


def shard_name(index: int, count: int) -> str:
    """Return the name of a shard's file."""
    return f"images-{index:05}-of-{count:05}.array_record"


def array_record() -> ModuleType:
    """Return the module of the package ``array_record`` that reads and writes shards.

    Raises:
        ImportError: If it is not installed.
    """
    try:
        from array_record.python import array_record_module
    except ImportError as error:
        raise ImportError(
            f"expected the package array_record to read or write records, got none installed; {INSTALL}."
        ) from error
    return array_record_module


def read_records(
    path: str | os.PathLike[str],
    *,
    image_size: int,
    fit: Fit | None = None,
    options: ReadOptions = DEFAULT_OPTIONS,
) -> DatasetSplits:
    """Read the manifest of packed records, and look whether the shards are there; no record is read.

    Args:
        path: The folder.
        image_size: Height and width in pixels that images get when they are decoded.
        fit: How they are fitted to it; None for `DEFAULT_FIT`. Images of more than 8 bits have the value range that was
            measured when they were packed, unless the fit has another.
        options: How the source is read; only ``near_duplicates`` matters here.

    Returns:
        The splits, whose images are `LazyImages` that are decoded when they are indexed.

    Raises:
        FileNotFoundError: If there is no manifest.
        ImportError: If the package ``array_record`` is not installed.
        ValueError: If the manifest is damaged, or a shard is missing or has another size than when it was written.
    """
    folder = Path(path)
    array_record()
    manifest = Manifest.read(folder / MANIFEST)
    fit = fit or DEFAULT_FIT
    if fit.value_range is None:
        fit = replace(fit, value_range=manifest.value_range)
    images = EncodedImages(Records(folder, manifest), image_size, fit)
    ends = np.cumsum((0, *manifest.counts)).tolist()
    datasets = {
        split: Dataset(
            images=LazyImages(images, np.arange(start, end)),
            labels=manifest.labels[start:end],
            class_names=manifest.class_names,
            paths=manifest.paths[start:end],
            name=manifest.name,
            groups=manifest.groups[start:end] if any(manifest.groups[start:end]) else (),
        )
        for split, start, end in zip(SPLITS, ends, ends[1:], strict=False)
        if end > start
    }
    splits = DatasetSplits.of(datasets, manifest.unreadable, manifest.left_out)
    splits = replace(splits, fit=fit, identical_only=not options.near_duplicates)
    found = manifest.near_duplicates if options.near_duplicates else None
    split = np.repeat(np.arange(len(SPLITS)), manifest.counts)
    return splits.with_near_duplicates(found or NearDuplicates.of_copies(manifest.copies, manifest.single_color, split))


class DamagedRecordError(ValueError):
    """A record is not as it was written.

    Attributes:
        shard: Its file.
    """

    def __init__(self, message: str, shard: Path) -> None:
        super().__init__(message)
        self.shard = shard


@dataclass(eq=False)
class Records:
    """The content of the records of a folder, by their numbers; a source of random access, as Grain calls it.

    Any number of threads may read. The SHA-256 of a record is compared when it is read for the first time.

    Attributes:
        folder: The folder.
        manifest: Its manifest.

    Raises:
        ValueError: If a shard is missing or has another size than when it was written.
    """

    folder: Path
    manifest: Manifest
    _readers: dict[int, Any] = field(default_factory=dict, init=False, repr=False)
    _lock: Any = field(default_factory=threading.Lock, init=False, repr=False)

    def __post_init__(self) -> None:
        self._ends = np.cumsum(self.manifest.shard_records)
        self._checked = np.zeros(len(self.manifest), dtype=bool)
        for shard, size in enumerate(self.manifest.shard_bytes.tolist()):
            path = self.shard(shard)
            if not path.is_file():
                raise ValueError(f"{path}: expected a shard of packed records, got {describe_path(path)}; {_DAMAGED}.")
            if path.stat().st_size != size:
                raise ValueError(
                    f"{path}: expected a shard of {size:,} bytes, got {path.stat().st_size:,}; {_DAMAGED}."
                )

    def __len__(self) -> int:
        return len(self.manifest)

    def __getitem__(self, index: int) -> bytes:
        """Return the content of the image file with this number, 0..n - 1.

        Raises:
            IndexError: If there is no such record.
            DamagedRecordError: If it is damaged.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"expected the number of a record in 0..{len(self) - 1}, got {index}.")
        shard, place = self.place(index)
        try:
            # a range, since a list of places is sorted into as many bins as the shard has records
            content = bytes(self._reader(shard).read(place, place + 1)[0])
            if not self._checked[index]:
                if hashlib.sha256(content).digest() != self.manifest.sha256[index].tobytes():
                    raise ValueError("its SHA-256 differs")
                self._checked[index] = True
        except Exception as error:  # array_record raises RuntimeError and IndexError
            reason = short(" ".join(str(error).split()) or type(error).__name__)
            raise DamagedRecordError(
                f"{self.shard(shard)}: expected the record {place} as it was written, got a damaged one ({reason}); "
                f"{_DAMAGED}.",
                self.shard(shard),
            ) from error
        return content

    def __repr__(self) -> str:
        return f"Records({str(self.folder)!r}, {len(self)} records in {len(self._ends)} shards)"

    def place(self, index: int) -> tuple[int, int]:
        """Return the shard of a record and its place in it, both counted from 0."""
        shard = int(np.searchsorted(self._ends, index, side="right"))
        return shard, index - int(self._ends[shard] - self.manifest.shard_records[shard])

    def shard(self, index: int) -> Path:
        """Return the file of a shard."""
        return self.folder / shard_name(index, len(self.manifest.shard_records))

    def _reader(self, shard: int) -> Any:
        with self._lock:
            if shard not in self._readers:
                reader = array_record().ArrayRecordReader(
                    str(self.shard(shard)), options=_READING, file_reader_buffer_size=_ONE
                )
                if not reader.ok() or reader.num_records() != self.manifest.shard_records[shard]:
                    raise ValueError("the shard has another number of records")
                if len(self._readers) >= _MOST_OPEN:  # a thread that reads with it keeps it until it is done
                    del self._readers[next(iter(self._readers))]
                self._readers[shard] = reader
            return self._readers[shard]


class EncodedImages:
    """The images of records as `LazyImages` takes them: an array ``(n, image_size, image_size, 3)`` that decodes.

    Args:
        records: The records.
        image_size: Height and width in pixels.
        fit: How images are fitted to it.

    Attributes:
        shape: ``(n, image_size, image_size, 3)``.
        ndim: 4.
        dtype: uint8.
        file_hashes: SHA-256 of each image file, uint8 ``(n, 32)``.
        file_headers: Header of each image file, None where it could not be read.
        decoding: What the pixels depend on, beside the files.
    """

    def __init__(self, records: Records, image_size: int, fit: Fit) -> None:
        self._records, self._size, self._fit = records, image_size, fit
        self.shape = (len(records), image_size, image_size, 3)
        self.ndim, self.dtype = 4, np.dtype(np.uint8)
        self.file_hashes, self.file_headers = records.manifest.sha256, records.manifest.headers
        self.decoding = repr((DECODING, image_size, fit))

    def __getitem__(self, indices: Any) -> np.ndarray:
        """Return the image of a number, or the images of an array of numbers, which several threads decode."""
        if np.ndim(indices) == 0:
            return self._decode(int(indices))
        images = np.empty((len(indices), *self.shape[1:]), np.uint8)
        for place, image in enumerate(in_order(self._decode, np.asarray(indices).tolist())):
            images[place] = image
        return images

    def encoded(self, index: int) -> EncodedImage:
        """Return the image file of a number, not decoded.

        Raises:
            ValueError: If its record is damaged.
        """
        content = self._records[index]
        shard, place = self._records.place(index)
        return EncodedImage(content, self._size, self._fit, f"{self._records.shard(shard)}: record {place}")

    def _decode(self, index: int) -> np.ndarray:
        return self.encoded(index).decode(self._size, self._size)
