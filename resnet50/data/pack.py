"""Decode a whole source once into one file, for any number of trainings."""

from __future__ import annotations

import logging
import os
import time
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import NoReturn

import h5py
import numpy as np

from resnet50._io.fetch import Progress
from resnet50._io.files import DISK_FULL, check_room, check_writable
from resnet50._io.text import plural
from resnet50._io.workers import in_order
from resnet50.data.corrections import correct_listing, read_corrections
from resnet50.data.dataset import Unreadable
from resnet50.data.earlier_images import EarlierImages
from resnet50.data.file_index import ImageFile, read_file_headers
from resnet50.data.fit import DEFAULT_FIT, Fit
from resnet50.data.hdf5 import add_images, add_labels, add_left_out, add_unreadable, new_h5
from resnet50.data.images import TemporaryError, has_pixels_not_finite, measure_value_range, read_image
from resnet50.data.left_out import MORE_FRAMES, NOT_FINITE, LeftOut, count_left_out
from resnet50.data.listing import SPLITS, Entry, Listing, list_images
from resnet50.data.options import DEFAULT_OPTIONS, ReadOptions
from resnet50.data.remote import is_address, local_copy

try:
    import fcntl
except ImportError:  # Windows, where a file that is open cannot be removed
    fcntl = None  # type: ignore[assignment]

_log = logging.getLogger(__name__)

_SHOWN = 3  # files that an error names
_REST = 256  # bytes for the label of an image, or the reason why it is left out
_JUST_BEGUN = 5  # seconds after its creation in which a file may not be locked yet


def pack(
    source: str | os.PathLike[str] | Listing,
    out: str | os.PathLike[str],
    *,
    image_size: int,
    fit: Fit = DEFAULT_FIT,
    options: ReadOptions = DEFAULT_OPTIONS,
    progress: Progress | None = None,
) -> tuple[Unreadable, ...]:
    """Decode every image of a source into one file in the schema of `resnet50.data.hdf5`, which `load_dataset` reads.

    Several threads decode the images, which are written one by one, uncompressed, so that memory does not grow with
    their number. The same images give the same bytes. The file gets its name when it is complete; the next call for
    the same folder removes what a killed process left half written.

    Args:
        source: What `list_images` takes or returned, or the address of a folder, such as ``"s3://bucket/photos"``,
            whose images are copied beside ``out`` meanwhile (`resnet50.data.remote`). Images without a split go into
            ``train``.
        out: The file; one that exists is replaced once the new one is complete.
        image_size: Height and width in pixels of the decoded images (`read_image`).
        fit: How they are fitted to it. A value range that it does not give is measured over the source, if there are
            images of more than 8 bits; the packed file records it.
        options: How the source is read; ``test_split`` is not used here.
        progress: Called with the files done and their number: as those at an address are copied, as their headers are
            read, and again as they are decoded.

    Returns:
        The files that were left out, each with the reason; the packed file lists them too.

    Raises:
        FileNotFoundError: If nothing is there.
        OSError: If there is not enough room on the disk, or the file cannot be written.
        ValueError: If the source holds no classes, more files of all or of a class than allowed cannot be read, or none
            can, or an argument is not as described.
    """
    if image_size < 1:
        raise ValueError(f"expected image_size to be at least 1 pixel, got {image_size!r}.")
    if is_address(source):
        check_writable(out)

        def needed(images: int, _: int) -> int:
            return packed_bytes(images, image_size)

        with local_copy(source, beside=out, needed=needed, progress=progress) as folder:
            return pack(folder, out, image_size=image_size, fit=fit, options=options, progress=progress)
    listing = (
        source if isinstance(source, Listing) else list_images(source, pattern=options.pattern, groups=options.groups)
    )
    if options.corrections is not None:
        listing = correct_listing(listing, read_corrections(options.corrections))
    files = read_file_headers(listing.entries, progress=progress)
    inspected = Inspected(listing, files)
    return pack_inspected(inspected, out, image_size=image_size, fit=fit, options=options, progress=progress)


@dataclass(frozen=True, eq=False)
class Inspected:
    """The files of a source, with what is known before they are decoded.

    Attributes:
        listing: The files.
        files: Header of each and, where it was read, hash.
        earlier: Decoded images of an earlier version of the source, of this size.
    """

    listing: Listing
    files: Sequence[ImageFile]
    earlier: EarlierImages | None = None


def pack_inspected(
    inspected: Inspected,
    out: str | os.PathLike[str],
    *,
    image_size: int,
    fit: Fit = DEFAULT_FIT,
    options: ReadOptions = DEFAULT_OPTIONS,
    progress: Progress | None = None,
) -> tuple[Unreadable, ...]:
    """Decode every image like `pack`, but take over what did not change.

    A file with another size or time than when it was hashed is left out of this file, as one that may be read later.

    Args:
        inspected: The source.
        out: As for `pack`.
        image_size: As for `pack`.
        fit: As for `pack`.
        options: As for `pack`.
        progress: As for `pack`.

    Returns:
        As `pack`.

    Raises:
        OSError: As `pack`.
        ValueError: As `pack`.
    """
    listing, out, total = inspected.listing, Path(out), len(inspected.listing.entries)
    size = _most_bytes(listing, image_size)
    _remove_leftovers(out)
    check_room(out, size, "the packed images", advice="choose another place or a smaller image_size")
    if fit.value_range is None:
        fit = replace(fit, value_range=measure_value_range(deep_files(inspected)))
    unreadable = UnreadableFiles(listing, options.max_unreadable)
    _log.info("decoding images")
    with (
        _full_disk_reported(out, size),
        new_h5(out, listing.class_names, listing.name, fit=fit, room=size) as file,
    ):
        counts = Counter(split_of(entry) for entry in listing.entries)
        rows = {split: _Rows(add_images(file, split, counts[split], image_size)) for split in SPLITS if counts[split]}
        decode = partial(_decode, inspected=inspected, image_size=image_size, fit=fit)
        for done, (place, image) in enumerate(in_order(decode, range(total)), 1):
            entry = listing.entries[place]
            if isinstance(image, np.ndarray):
                rows[split_of(entry)].add(image, entry, listing.name_of(entry), inspected.files[place].content)
            else:
                unreadable.add(image, entry.label)
            if progress is not None:
                progress(done, total)
        if len(unreadable.files) == total:
            raise ValueError(
                f"{listing.root}: expected images that can be read, got none among {plural(total, 'file')} "
                f"({_described(unreadable.files[:1])}); replace them."
            )
        for split in rows:
            rows[split].finish(file, split)
        add_unreadable(file, unreadable.files)
        add_left_out(file, listing.left_out + found_in_files(inspected))
    return tuple(unreadable.files)


def check_unreadable(unreadable: Sequence[Unreadable], listing: Listing, most: float) -> None:
    """Refuse a source with too many unreadable files, in the words in which packing it does.

    Args:
        unreadable: The unreadable files.
        listing: All files.
        most: Share of all files, and of those of each class, that may be unreadable, 0..1.

    Raises:
        ValueError: As `UnreadableFiles.add`.
    """
    labels = {listing.name_of(entry): entry.label for entry in listing.entries} if unreadable else {}
    found = UnreadableFiles(listing, most)
    for each in unreadable:
        found.add(each, labels[each.path])


class UnreadableFiles:
    """The unreadable files of a source, up to the share that may be left out.

    Args:
        listing: All files.
        most: Share of all files, and of those of each class, that may be unreadable, 0..1.
    """

    def __init__(self, listing: Listing, most: float) -> None:
        self.files: list[Unreadable] = []
        self._listing, self._most = listing, most
        self._sizes = Counter(entry.label for entry in listing.entries)
        self._of_class: dict[int, list[Unreadable]] = {}

    def add(self, file: Unreadable, label: int) -> None:
        """Add a file.

        Raises:
            ValueError: If the files are now more than the share of all, or the class's are more than the share of it: a
                single file only if the class has no other.
        """
        of_class, size = self._of_class.setdefault(label, []), self._sizes[label]
        self.files.append(file)
        of_class.append(file)
        if len(self.files) > self._most * self._sizes.total():
            self._refuse(self.files, self._sizes.total(), "files")
        if len(of_class) > self._most * size and (len(of_class) > 1 or size == 1):
            self._refuse(of_class, size, f"files of the class {self._listing.class_names[label]}")

    def _refuse(self, files: Sequence[Unreadable], total: int, of: str) -> NoReturn:
        raise ValueError(
            f"{self._listing.root}: at least {len(files)} of {total} {of} cannot be read, more than the share of "
            f"{self._most:g} that may be left out: {_described(files[:_SHOWN])}{' …' if len(files) > _SHOWN else ''}; "
            "repair or remove them, or allow more (max_unreadable, --max-unreadable)."
        )


@dataclass
class _Rows:
    """A split that is being written, image by image."""

    images: h5py.h5d.DatasetID
    checksums: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    hashes: list[str] = field(default_factory=list)

    def add(self, image: np.ndarray, entry: Entry, path: str, content: str) -> None:
        self.images.write_direct_chunk((len(self.labels), 0, 0, 0), image)
        self.checksums.append(zlib.crc32(image.data))
        self.labels.append(entry.label)
        self.paths.append(path)
        self.groups.append(entry.group)
        self.hashes.append(content)

    def finish(self, file: h5py.File, split: str) -> None:
        if not self.labels:
            del file[h5py.h5i.get_name(self.images)]
            return
        self.images.set_extent((len(self.labels), *self.images.shape[1:]))
        groups, hashes = (column if any(column) else () for column in (self.groups, self.hashes))
        labels = np.array(self.labels, dtype=np.int64)
        add_labels(file, split, labels, self.paths, groups, checksums=self.checksums, file_hashes=hashes)


def split_of(entry: Entry) -> str:
    """Return the split of an image; those without one are training images."""
    return entry.split or "train"


def deep_files(inspected: Inspected) -> list[Path]:
    """Return the files with more than 8 bits a channel."""
    pairs = zip(inspected.listing.entries, inspected.files, strict=True)
    return [entry.path for entry, file in pairs if file.header is not None and file.header.deep]


def _decode(place: int, *, inspected: Inspected, image_size: int, fit: Fit) -> tuple[int, np.ndarray | Unreadable]:
    """Return the image at a place in the listing, or the reason why it cannot be read."""
    entry, file = inspected.listing.entries[place], inspected.files[place]
    image = inspected.earlier.find(file.content, fit) if inspected.earlier is not None else None
    if image is not None:
        return place, image
    name = inspected.listing.name_of(entry)
    try:
        image = read_image(entry.path, height=image_size, width=image_size, fit=fit)
    except (ValueError, FileNotFoundError) as error:
        reason = str(error).removeprefix(f"{entry.path}: ").removesuffix(".")
        temporary = isinstance(error, TemporaryError) or file.has_changed(entry.path)
        return place, Unreadable(name, reason, temporary=temporary)
    if file.has_changed(entry.path):
        return place, Unreadable(name, "it changed while it was read", temporary=True)
    return place, image


def found_in_files(inspected: Inspected) -> tuple[LeftOut, ...]:
    """Count the files of each class of which only a part is used: the first frame or page, or the finite pixels."""
    pairs = [
        (entry, file.header)
        for entry, file in zip(inspected.listing.entries, inspected.files, strict=True)
        if file.header is not None
    ]
    floats = [entry for entry, header in pairs if header.mode == "F"]
    not_finite = in_order(lambda entry: has_pixels_not_finite(entry.path), floats)
    found = [(MORE_FRAMES, entry) for entry, header in pairs if header.more_frames]
    found += [(NOT_FINITE, entry) for entry, is_so in zip(floats, not_finite, strict=True) if is_so]
    names = inspected.listing.class_names
    return count_left_out((reason, names[entry.label], entry.path.suffix.lower()) for reason, entry in found)


def _described(unreadable: Iterable[Unreadable]) -> str:
    return ", ".join(f"{each.path}: {each.reason}" for each in unreadable)


def packed_bytes(images: int, image_size: int) -> int:
    """Return how many bytes of a packed file so many images take, without their paths and groups."""
    return images * (3 * image_size**2 + _REST) + (1 << 20)


def _most_bytes(listing: Listing, image_size: int) -> int:
    texts = [(listing.name_of(entry), entry.group) for entry in listing.entries]
    longest = [max(map(len, map(os.fsencode, column))) for column in zip(*texts, strict=True)]  # HDF5 pads all to it
    return packed_bytes(len(texts), image_size) + len(texts) * sum(longest)


@contextmanager
def _full_disk_reported(out: Path, size: int) -> Iterator[None]:
    """Report in one line, where HDF5 uses several, that others have filled the disk meanwhile."""
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        raise OSError(
            f"{out}: expected {size / 1e6:,.0f} MB of disk for the packed images, got a disk that was full before they "
            "were all written; free some and start again."
        ) from error


def _remove_leftovers(out: Path) -> None:
    """Remove files that killed processes left half written beside a file."""
    for leftover in out.parent.glob(f".partial-*{out.suffix}"):
        with suppress(OSError), _unused(leftover):
            if time.time() - leftover.stat().st_mtime > _JUST_BEGUN:
                leftover.unlink()


def _unused(path: Path) -> AbstractContextManager[object]:
    """Hold a file that no process writes to; raise OSError where HDF5 does, which locks it. Windows refuses later."""
    if fcntl is None:
        return nullcontext()
    file = path.open("rb")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise
    return file
