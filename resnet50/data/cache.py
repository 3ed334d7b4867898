"""Decoded image files in the user's cache, one packed file for each content of a source."""

from __future__ import annotations

import errno
import hashlib
import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from resnet50._io.fetch import Progress, cache_folder
from resnet50._io.workers import in_order
from resnet50.data.fit import DEFAULT_FIT, Fit
from resnet50.data.hdf5 import read_fit, read_h5, read_left_out, read_unreadable
from resnet50.data.left_out import FOUND_IN_FILES
from resnet50.data.listing import Entry, Listing
from resnet50.data.options import DEFAULT_OPTIONS, ReadOptions
from resnet50.data.pack import check_unreadable, pack
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
    groups of all images, by the image size and by the fit. A changed, added or removed image makes another file. Files
    may be deleted at any time; their modification times show when each was last used.

    Args:
        listing: The images.
        image_size: Height and width in pixels of the decoded images.
        fit: How they are fitted to it.
        options: How they are read; only ``max_unreadable`` matters here.
        progress: Called with the files decoded and their number; never if all are cached.

    Returns:
        The splits of the listing, images uint8 ``(n, image_size, image_size, 3)``, with the fit in which a value range
        is measured.

    Raises:
        OSError: If there is not enough room on the disk for the cache, or it cannot be written.
        ValueError: If too many of the files cannot be read.
    """
    path = cache_folder() / "packed" / f"{_key(listing, image_size, fit)}.h5"
    splits = _cached(path)
    if splits is None:
        try:
            pack(listing, path, image_size=image_size, fit=fit, options=options, progress=progress)
        except OSError as error:
            if error.errno not in _NO_FOLDER:
                raise
            raise type(error)(
                f"{path.parent}: expected a folder for decoded images, got one that cannot be written "
                f"({error.strerror}); set the environment variable RESNET50_CACHE to one that can."
            ) from error
        splits = read_packed(path)
    check_unreadable(splits.unreadable, listing, options.max_unreadable)
    with suppress(OSError):  # a cache that others filled may be read-only
        os.utime(path)
    # the same images may stand in another place, under another name and beside other files
    left_out = listing.left_out + tuple(each for each in splits.left_out if each.reason in FOUND_IN_FILES)
    renamed = splits.map(lambda dataset: replace(dataset, name=listing.name))
    return replace(renamed, left_out=left_out, root=listing.root)


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
    splits = DatasetSplits.of(read_h5(path), read_unreadable(path), read_left_out(path))
    return replace(splits, fit=read_fit(path) or DEFAULT_FIT)


def _key(listing: Listing, image_size: int, fit: Fit) -> str:
    """Hash everything that the packed images depend on."""
    digest = hashlib.sha256(repr((DECODING, image_size, fit, listing.class_names)).encode())
    for entry, content in zip(listing.entries, in_order(_content, listing.entries), strict=True):
        digest.update(repr((listing.name_of(entry), entry.label, entry.split, entry.group, content)).encode())
    return digest.hexdigest()


def _content(entry: Entry) -> str:
    """Hash a file; the type of error stands for a file that cannot be opened."""
    try:
        if not entry.path.is_file():  # reading a pipe would never end
            return "no file"
        with entry.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        return type(error).__name__
