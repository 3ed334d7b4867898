"""Write the image files of a source into ArrayRecord shards, as they are, with a manifest."""

from __future__ import annotations

import hashlib
import logging
import os
from array import array
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from resnet50._io.fetch import Progress
from resnet50._io.files import atomic_folder, check_new, check_room
from resnet50._io.paths import as_given, describe_path
from resnet50._io.text import plural
from resnet50._io.workers import THREADS, in_order
from resnet50.data.corrections import correct_listing, read_corrections
from resnet50.data.dataset import Unreadable
from resnet50.data.file_index import read_file_headers
from resnet50.data.fit import DEFAULT_FIT, Fit
from resnet50.data.headers import Headers
from resnet50.data.images import TemporaryError, fit_image, measure_value_range
from resnet50.data.lazy_images import LazyImages
from resnet50.data.listing import SPLITS, Listing, list_images
from resnet50.data.near_duplicate_index import faiss, indexed_pairs
from resnet50.data.near_duplicates import (
    MAX_STORED_PAIRS,
    MOST_COMPARED,
    Copies,
    NearDuplicates,
    Pairs,
    find_near_duplicates,
)
from resnet50.data.options import DEFAULT_OPTIONS, ReadOptions
from resnet50.data.pack import Inspected, UnreadableFiles, deep_files, found_in_files, split_of
from resnet50.data.records import MANIFEST, MOST_RECORD_BYTES, Manifest, array_record, shard_name
from resnet50.data.remote import is_address, local_copy
from resnet50.data.texts import Texts

_log = logging.getLogger(__name__)

_SHARD_BYTES = 256 << 20  # about the size of a shard where their number is not given
_MOST_SHARDS = 1_024  # where their number is not given
_SIZE = 32  # height and width in pixels at which images are compared
_THUMBNAILS = "thumbnails"
_REST = 4_096  # bytes of disk for an image beside its file: thumbnail, row of the manifest, frame of the record


class _File(NamedTuple):
    """The content of an image file, and its thumbnail."""

    content: bytes
    thumbnail: np.ndarray


class _Written(NamedTuple):
    """What was written: the places of the files in the listing, their SHA-256, the shards, and what was left out."""

    places: array[int]
    sha256: bytearray
    shard_records: np.ndarray
    shard_bytes: np.ndarray
    unreadable: tuple[Unreadable, ...]


def pack_records(
    source: str | os.PathLike[str] | Listing,
    out: str | os.PathLike[str],
    *,
    shards: int | None = None,
    options: ReadOptions = DEFAULT_OPTIONS,
    progress: Progress | None = None,
) -> tuple[Unreadable, ...]:
    """Write the image files of a source into a new folder of shards, which `load_dataset` reads.

    The files are stored as they are, not decoded and encoded again. Each is decoded once, at a small size, to know
    whether it can be read and to compare the images. The folder gets its name when it is complete.

    Args:
        source: What `list_images` takes or returned, or the address of a folder, such as ``"s3://bucket/photos"``,
            whose images are copied beside ``out`` meanwhile (`resnet50.data.remote`). Images without a split go into
            ``train``.
        out: The folder; a new name.
        shards: Number of files with records; None for one for each 256 MiB.
        options: How the source is read; ``test_split`` and ``near_duplicates`` are not used here.
        progress: Called with the files done and their number, as those at an address are copied, as their headers are
            read and as they are written; then with the steps done and their number, two for each image, as they are
            compared.

    Returns:
        The files that were left out, each with the reason; the manifest lists them too.

    Raises:
        FileNotFoundError: If nothing is there.
        ImportError: If the package ``array_record`` is not installed, or ``faiss-cpu`` for more than 200,000 images.
        OSError: If there is not enough room on the disk, or the folder cannot be written.
        ValueError: If the source holds no classes, more files of all or of a class than allowed cannot be read, or none
            can, ``out`` exists, or an argument is not as described.
    """
    if shards is not None and shards < 1:
        raise ValueError(f"expected at least 1 shard, got {shards!r}.")
    array_record()
    check_new(out)
    if is_address(source):
        with local_copy(source, beside=out, needed=room_for_records, progress=progress) as folder:
            return pack_records(folder, out, shards=shards, options=options, progress=progress)
    listing = (
        source if isinstance(source, Listing) else list_images(source, pattern=options.pattern, groups=options.groups)
    )
    if options.corrections is not None:
        listing = correct_listing(listing, read_corrections(options.corrections))
    entries = sorted(listing.entries, key=lambda entry: SPLITS.index(split_of(entry)))
    listing = replace(listing, entries=tuple(entries))
    size = sum(_size(entry.path) for entry in entries)
    count = min(shards or min(max(1, size // _SHARD_BYTES), _MOST_SHARDS), len(entries))
    check_room(out, room_for_records(len(entries), size) + (count << 16), "the packed records")
    files = read_file_headers(entries, progress=progress)
    inspected = Inspected(listing, files)
    fit = replace(DEFAULT_FIT, value_range=measure_value_range(deep_files(inspected)))
    with atomic_folder(out) as folder, ThumbnailFile(folder / _THUMBNAILS) as thumbnails:
        unreadable = UnreadableFiles(listing, options.max_unreadable)
        written = _write_shards(inspected, folder, count, fit, unreadable, thumbnails, progress)
        manifest = _describe(inspected, written, fit)
        del listing, entries, files, inspected, unreadable  # those of a million images take 300 MB
        _log.info("comparing images")
        _compare(manifest, thumbnails, progress).write(folder / MANIFEST)
    return written.unreadable


def room_for_records(images: int, size: int) -> int:
    """Return about how many bytes records take: of ``images`` images, whose files have ``size`` bytes.

    Raises:
        ImportError: If a package is not installed that packing so many needs.
    """
    if images > MOST_COMPARED:
        faiss()
    return size + images * _REST


class ThumbnailFile:
    """Thumbnails of images in a temporary file, since those of a million take 3 GB; indexed like an array.

    It is not mapped: pages of a mapped file count as memory of the process.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._file = path, path.open("w+b")
        self._count = 0
        self.ndim, self.dtype = 4, np.dtype(np.uint8)

    def __enter__(self) -> ThumbnailFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)

    @property
    def shape(self) -> tuple[int, ...]:
        """``(n, 32, 32, 3)``."""
        return self._count, _SIZE, _SIZE, 3

    def append(self, image: np.ndarray) -> None:
        """Write a thumbnail behind the others, before any is read."""
        self._file.write(image.data)
        self._count += 1

    def __getitem__(self, indices: Any) -> np.ndarray:
        images = np.empty((np.size(indices), *self.shape[1:]), np.uint8)
        for image, index in zip(images, np.ravel(indices).tolist(), strict=True):
            self._file.seek(index * image.nbytes)
            self._file.readinto(image.data)
        return images.reshape(*np.shape(indices), *self.shape[1:])


def _write_shards(
    inspected: Inspected,
    folder: Path,
    shards: int,
    fit: Fit,
    unreadable: UnreadableFiles,
    thumbnails: ThumbnailFile,
    progress: Progress | None,
) -> _Written:
    """Write every file that can be read into its shard, and its thumbnail."""
    entries = inspected.listing.entries
    places, sha256 = array("q"), bytearray()
    records = np.zeros(shards, np.int64)
    _log.info("writing images")
    with ExitStack() as opened:
        read = partial(_read, inspected=inspected, fit=fit)
        writer: Any = None
        last = -1
        for place, file in enumerate(in_order(read, range(len(entries)), ahead=2 * THREADS)):
            shard = place * shards // len(entries)
            if shard != last:
                opened.close()
                writer, last = opened.enter_context(_new_shard(folder / shard_name(shard, shards))), shard
            if isinstance(file, Unreadable):
                unreadable.add(file, entries[place].label)
            else:
                writer.write(file.content)
                thumbnails.append(file.thumbnail)
                records[shard] += 1
                places.append(place)
                sha256 += hashlib.sha256(file.content).digest()
            if progress is not None:
                progress(place + 1, len(entries))
    if not places:
        first = unreadable.files[0]
        raise ValueError(
            f"{inspected.listing.root}: expected images that can be read, got none among "
            f"{plural(len(entries), 'file')} ({first.path}: {first.reason}); replace them."
        )
    sizes = [(folder / shard_name(shard, shards)).stat().st_size for shard in range(shards)]
    return _Written(places, sha256, records, np.array(sizes, np.int64), tuple(unreadable.files))


@contextmanager
def _new_shard(path: Path) -> Iterator[Any]:
    """Open a file to write records to, each of which can be read alone."""
    try:
        writer = array_record().ArrayRecordWriter(str(path), "group_size:1,uncompressed")
        yield writer
        writer.close()
    except RuntimeError as error:  # what array_record raises, of a full disk too
        raise OSError(f"{path}: expected to write a shard, got an error ({' '.join(str(error).split())}).") from error


def _read(place: int, *, inspected: Inspected, fit: Fit) -> _File | Unreadable:
    """Return the file at a place in the listing, or the reason why it cannot be read."""
    path = inspected.listing.entries[place].path
    try:
        if not path.is_file():  # reading a pipe would never end
            raise FileNotFoundError(f"{as_given(path)}: expected an image file, got {describe_path(path)}.")
        if _size(path) > MOST_RECORD_BYTES:
            raise ValueError(f"{path}: expected a file of at most {MOST_RECORD_BYTES >> 30} GiB, got a larger one.")
        content = path.read_bytes()
        return _File(content, fit_image(content, height=_SIZE, width=_SIZE, fit=fit, name=str(path)))
    except (ValueError, OSError) as error:
        reason = " ".join(str(error).split()).removeprefix(f"{path}: ").removesuffix(".")
        temporary = isinstance(error, TemporaryError) or (
            isinstance(error, OSError) and not isinstance(error, FileNotFoundError)
        )
        name = inspected.listing.name_of(inspected.listing.entries[place])
        return Unreadable(name, reason, temporary=temporary)


def _describe(inspected: Inspected, written: _Written, fit: Fit) -> Manifest:
    """Return what the manifest has before the images are compared."""
    listing = inspected.listing
    entries = [listing.entries[place] for place in written.places]
    splits = Counter(map(split_of, entries))
    groups = tuple(entry.group for entry in entries)
    return Manifest(
        name=listing.name,
        class_names=listing.class_names,
        labels=np.array([entry.label for entry in entries], np.int64),
        counts=tuple(splits[split] for split in SPLITS),
        paths=Texts.of(map(listing.name_of, entries)),
        groups=groups if any(groups) else (),
        sha256=np.frombuffer(written.sha256, np.uint8).reshape(-1, 32),
        shard_records=written.shard_records,
        shard_bytes=written.shard_bytes,
        headers=Headers.of(inspected.files[place].header for place in written.places),
        copies=Copies(np.arange(len(entries)), np.arange(len(entries))),
        single_color=np.zeros(len(entries), dtype=bool),
        value_range=fit.value_range,
        unreadable=written.unreadable,
        left_out=listing.left_out + found_in_files(inspected),
    )


def _compare(manifest: Manifest, images: ThumbnailFile, progress: Progress | None) -> Manifest:
    """Return the manifest with the images' near-duplicates, as far as they can be found and stored."""
    numbers = np.split(np.arange(len(manifest)), np.cumsum(manifest.counts)[:-1])
    splits = [LazyImages(images, of_split) for of_split in numbers]
    identical = find_near_duplicates(splits, identical_only=True, progress=progress)
    manifest = replace(manifest, copies=identical.copies or manifest.copies, single_color=identical.single_color)
    if len(manifest) > MOST_COMPARED:
        return replace(manifest, near_duplicates=_find_indexed(manifest, identical, images, progress))
    found = find_near_duplicates(splits, labels=manifest.labels, progress=progress)
    if found.stored is None:
        return manifest
    mirrored, pairs_found = list[Pairs](), 0
    for pairs in found.mirrored_pairs():
        pairs_found += len(pairs.first)
        if pairs_found > MAX_STORED_PAIRS:
            return manifest
        mirrored.append(pairs)
    return replace(manifest, near_duplicates=replace(found, mirrored=tuple(mirrored)))


def _find_indexed(
    manifest: Manifest, identical: NearDuplicates, images: ThumbnailFile, progress: Progress | None
) -> NearDuplicates | None:
    """Return the near-duplicates of very many images; None if they are too many to be stored."""
    count, split = len(manifest), np.repeat(np.arange(len(SPLITS)), manifest.counts)
    report = None if progress is None else lambda done: progress(2 * done, 2 * count)
    found = indexed_pairs(images, identical.single_color, progress=report)
    if found is None:
        return None
    return NearDuplicates.of_pairs(*found, identical=identical, split=split, labels=manifest.labels)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # decoding it reports that
        return 0
