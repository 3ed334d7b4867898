"""Images from any source to splits of one size; what was decoded once is kept in the user's cache."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from resnet50._io.fetch import Progress, cache_folder
from resnet50._io.workers import in_order
from resnet50.data.cifar10 import is_cifar10, read_cifar10
from resnet50.data.dataset import Dataset, DatasetSplits
from resnet50.data.hdf5 import read_h5, read_split, read_unreadable
from resnet50.data.listing import Entry, Listing, list_images
from resnet50.data.options import DEFAULT_OPTIONS, ReadOptions
from resnet50.data.pack import check_unreadable, pack
from resnet50.data.splitting import train_validation_split

DECODING = 1
"""Raised whenever `read_image` gives other pixels for the same file, so that what is in the cache is not used."""

_FILES = {"train": "train", "validation": "val", "test": "test"}  # how the names of files of arrays begin


def read_splits(
    source: str | os.PathLike[str] | Listing,
    *,
    image_size: int,
    options: ReadOptions = DEFAULT_OPTIONS,
    progress: Progress | None = None,
) -> DatasetSplits:
    """Read a source in the splits that it has.

    Image files are decoded once and stored as ``packed/<SHA-256>.h5`` in `cache_folder`, named by the contents, paths,
    labels, splits and groups of all of them and by the image size. The next time they are only checked for changes; a
    changed, added or removed image makes another such file. Files in the cache may be deleted at any time; their
    modification times tell when each was last used.

    Args:
        source: What `list_images` takes or returned; a file in the schema of `resnet50.data.hdf5`; a folder with such
            files named ``train_*.h5`` and perhaps ``val_*.h5`` and ``test_*.h5``; or a folder of CIFAR-10.
        image_size: Height and width in pixels that every image is brought to. Image files are cropped to a centered
            square; arrays of another size are resized (bicubic, averaged where they shrink).
        options: How image files are read; ``test_split`` is not used here.
        progress: Called with the files that are decoded and their number; never where all are cached.

    Returns:
        The splits, all of the same classes; what has no split is ``train``.

    Raises:
        FileNotFoundError: If nothing is there.
        OSError: If there is not enough room on the disk for the cache, or it cannot be written.
        ValueError: If the source is none of these, or damaged, or too many of its files cannot be read, or an
            argument is not as described.
    """
    if image_size < 1:
        raise ValueError(f"expected image_size to be at least 1 pixel, got {image_size!r}.")
    if isinstance(source, Listing):
        return _packed(source, image_size, options, progress)
    path = Path(source)
    arrays = _read_arrays(path) if options.pattern is None else None
    if arrays is None:
        return _packed(list_images(path, pattern=options.pattern), image_size, options, progress)
    return arrays.map(lambda dataset: _resized(dataset, image_size))


def load_dataset(
    source: str | os.PathLike[str] | Listing,
    *,
    image_size: int,
    options: ReadOptions = DEFAULT_OPTIONS,
    seed: int = 0,
    progress: Progress | None = None,
) -> DatasetSplits:
    """Read a source as `read_splits` does, and split a test part off the training images if it has none of its own.

    What belongs together, by its group or as near-duplicates, stays together.

    Args:
        source: As for `read_splits`.
        image_size: Height and width in pixels that every image is brought to.
        options: How the source is read.
        seed: Determines which images become the test split.
        progress: As for `read_splits`.

    Returns:
        Training and test images, and validation images if the source has such a split.

    Raises:
        FileNotFoundError: If nothing is there.
        OSError: If there is not enough room on the disk for the cache, or it cannot be written.
        ValueError: As `read_splits`; and if there are no training images, or no test split can be made.
    """
    splits = read_splits(source, image_size=image_size, options=options, progress=progress)
    if splits.train is None:
        raise ValueError(f"{_place(source)}: expected training images, got {' and '.join(splits.by_name)} images only.")
    if splits.test is not None:
        return splits
    train, test = train_validation_split(splits.train, options.test_split, seed=seed)
    return replace(splits, train=train, test=test)


def _place(source: str | os.PathLike[str] | Listing) -> Path:
    return source.root if isinstance(source, Listing) else Path(source)


def _read_arrays(path: Path) -> DatasetSplits | None:
    """Read a source whose images are arrays; return None if it is of files."""
    if path.is_file():
        return _read_cached(path) if path.suffix.lower() in (".h5", ".hdf5") else None
    if is_cifar10(path):
        return DatasetSplits.of(read_cifar10(path))
    found = {split: sorted(path.glob(f"{key}_*.h5")) for split, key in _FILES.items()}
    if not found["train"]:
        return None
    for split, files in found.items():
        if len(files) > 1:
            names = ", ".join(file.name for file in files)
            raise ValueError(f"{path}: expected one file {_FILES[split]}_*.h5, found {names}; name one file itself.")
    splits = {split: read_split(files[0], split) for split, files in found.items() if files}
    for split, dataset in splits.items():
        if dataset.class_names != splits["train"].class_names:
            raise ValueError(
                f"{found[split][0]}: expected the classes of {found['train'][0].name}, "
                f"{', '.join(splits['train'].class_names)}, found {', '.join(dataset.class_names)}."
            )
    unreadable = tuple(left_out for files in found.values() for file in files for left_out in read_unreadable(file))
    return DatasetSplits.of(splits, unreadable)


def _resized(dataset: Dataset, image_size: int) -> Dataset:
    if dataset.images.shape[1:3] == (image_size, image_size):
        return dataset
    images = np.empty((len(dataset), image_size, image_size, 3), dtype=np.uint8)
    for index, image in enumerate(dataset.images):
        images[index] = np.asarray(Image.fromarray(image).resize((image_size, image_size), Image.Resampling.BICUBIC))
    return replace(dataset, images=images)


def _packed(listing: Listing, image_size: int, options: ReadOptions, progress: Progress | None) -> DatasetSplits:
    """Read files of images from the cache, after they were decoded into it if they are not there."""
    path = cache_folder() / "packed" / f"{_key(listing, image_size)}.h5"
    try:
        splits = _read_cached(path)
    except (FileNotFoundError, ValueError):  # ValueError: damaged
        try:
            pack(listing, path, image_size=image_size, max_unreadable=options.max_unreadable, progress=progress)
        except PermissionError as error:
            raise PermissionError(
                f"{path.parent}: expected a folder to keep decoded images in, found one that cannot be written; set "
                "RESNET50_CACHE to one that can."
            ) from error
        splits = _read_cached(path)
    check_unreadable(splits.unreadable, listing, options.max_unreadable)
    with suppress(OSError):  # a cache that others filled may be read-only
        os.utime(path)
    # of the same images elsewhere the name may be another
    return replace(splits.map(lambda dataset: replace(dataset, name=listing.name)), root=listing.root)


def _read_cached(path: Path) -> DatasetSplits:
    return DatasetSplits.of(read_h5(path), read_unreadable(path))


def _key(listing: Listing, image_size: int) -> str:
    """Hash all that the packed images depend on."""
    digest = hashlib.sha256(repr((DECODING, image_size, listing.class_names)).encode())
    for entry, content in zip(listing.entries, in_order(_content, listing.entries), strict=True):
        digest.update(repr((listing.name_of(entry), entry.label, entry.split, entry.group, content)).encode())
    return digest.hexdigest()


def _content(entry: Entry) -> str:
    """Hash a file; what cannot be read is told by its kind of error."""
    try:
        if not entry.path.is_file():  # a pipe would be waited for
            return "no file"
        with entry.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        return type(error).__name__
