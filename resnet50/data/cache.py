"""Decoded image files in the user's cache, one packed file for each content of a source."""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import PIL

from resnet50._io.fetch import Progress, cache_folder
from resnet50._io.files import write_text
from resnet50.data.earlier_images import EarlierImages, read_earlier
from resnet50.data.file_index import ImageFile, inspect_files
from resnet50.data.fit import DEFAULT_FIT, Fit
from resnet50.data.hdf5 import read_h5, read_packing
from resnet50.data.left_out import FOUND_IN_FILES
from resnet50.data.listing import Listing
from resnet50.data.options import DEFAULT_OPTIONS, ReadOptions
from resnet50.data.pack import Inspected, check_unreadable, pack_inspected
from resnet50.data.splits import DatasetSplits

DECODING = 4
"""Version of the decoding. Increase it when `read_image` gives other pixels: files of an older version are not used."""

# what a cache is that cannot be written: no permission, a read-only disk, a file in place of a folder, a lost share
_NO_FOLDER = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ENOENT, errno.ELOOP)


def read_decoded(
    listing: Listing,
    *,
    image_size: int,
    fit: Fit = DEFAULT_FIT,
    options: ReadOptions = DEFAULT_OPTIONS,
    progress: Progress | None = None,
) -> DatasetSplits:
    """Read image files from the cache; decode them into it first if they are not there.

    The packed file is ``packed/<SHA-256>.h5`` in `cache_folder`, named by the contents, paths, labels, splits and
    groups of all images, by the image size and by the fit. A changed, added or removed image makes another file, which
    takes over the images that did not change. The folder ``sources`` has, for each source, the hashes of its files
    (`resnet50.data.file_index`), so that only changed files are read again, and the names of its last packed files.
    Everything may be deleted at any time; the modification time of a packed file shows when it was last used.

    Args:
        listing: The images.
        image_size: Height and width in pixels of the decoded images.
        fit: How they are fitted to it.
        options: How they are read; only ``max_unreadable`` matters here.
        progress: Called with the files done and their number: as they are compared with the cache and, if they are not
            in it, again as they are decoded.

    Returns:
        The splits of the listing, images uint8 ``(n, image_size, image_size, 3)``, with the fit in which a value range
        is measured.

    Raises:
        OSError: If there is not enough room on the disk for the cache, or it cannot be written.
        ValueError: If too many of the files cannot be read.
    """
    packed, sources = cache_folder() / "packed", cache_folder() / "sources"
    source = os.path.abspath(listing.root), listing.name  # noqa: PTH100 - a str, and nothing is resolved
    files = inspect_files(listing, sources / f"{_digest(source)}.json", progress=progress)
    path = packed / f"{_key(listing, files, image_size, fit)}.h5"
    last = sources / f"{_digest((*source, DECODING, PIL.__version__, image_size, fit))}.txt"
    splits = _cached(path)
    if splits is None:
        inspected = Inspected(listing, files, _earlier(last, packed))
        with unwritable_reported(packed):
            pack_inspected(inspected, path, image_size=image_size, fit=fit, options=options, progress=progress)
        splits = read_packed(path)
    _remember(path, last)
    check_unreadable(splits.unreadable, listing, options.max_unreadable)
    # the same images may stand in another place, under another name and beside other files
    left_out = listing.left_out + tuple(each for each in splits.left_out if each.reason in FOUND_IN_FILES)
    renamed = splits.map(lambda dataset: replace(dataset, name=listing.name))
    headers = {
        listing.name_of(entry): file.header
        for entry, file in zip(listing.entries, files, strict=True)
        if file.header is not None
    }
    return replace(renamed, left_out=left_out, root=listing.root, headers=headers)


def _cached(path: Path) -> DatasetSplits | None:
    """Read a packed file; None if it is not there, is damaged, or lacks images that may be readable now."""
    try:
        splits = read_packed(path)
    except (FileNotFoundError, ValueError):
        return None
    return None if any(each.temporary for each in splits.unreadable) else splits


def read_packed(path: Path) -> DatasetSplits:
    """Read all splits of a file in the schema of `resnet50.data.hdf5`, and which files were left out of it.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it does not follow the schema.
    """
    packing = read_packing(path)
    splits = DatasetSplits.of(read_h5(path), packing.unreadable, packing.left_out)
    return replace(splits, fit=packing.fit or DEFAULT_FIT)


def _key(listing: Listing, files: Sequence[ImageFile], image_size: int, fit: Fit) -> str:
    """Hash everything that the packed images depend on."""
    digest = hashlib.sha256(repr((DECODING, image_size, fit, listing.class_names)).encode())
    for entry, file in zip(listing.entries, files, strict=True):
        digest.update(repr((listing.name_of(entry), entry.label, entry.split, entry.group, file.content)).encode())
    return digest.hexdigest()


def _digest(value: object) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()


def _earlier(last: Path, packed: Path) -> EarlierImages | None:
    """Open the packed file that was the last of a source."""
    try:
        name = last.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
    return read_earlier(packed / name) if re.fullmatch(r"[0-9a-f]{64}\.h5", name) else None


def _remember(path: Path, last: Path) -> None:
    """Record that a packed file was used, and that it is the last of its source; a cache may be read-only."""
    with suppress(OSError, ValueError):
        os.utime(path)
        if not last.is_file() or last.read_text(encoding="ascii") != f"{path.name}\n":
            write_text(last, path.name)


@contextmanager
def unwritable_reported(folder: Path) -> Iterator[None]:
    """Name the environment variable in the error of a folder of the cache that cannot be written."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_FOLDER:
            raise
        raise type(error)(
            f"{folder}: expected a folder that can be written, got another ({error.strerror}); set the environment "
            "variable RESNET50_CACHE to one."
        ) from error
