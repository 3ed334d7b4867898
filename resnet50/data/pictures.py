"""Pictures from any source to splits of one size; what was decoded once is kept in the user's cache."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from resnet50.data.cifar10 import is_cifar10, read_cifar10
from resnet50.data.hdf5 import read_h5, read_part, read_unreadable
from resnet50.data.listing import Entry, Listing, list_pictures
from resnet50.data.pack import check_share, check_unreadable, pack
from resnet50.data.parallel import in_order
from resnet50.data.split import Parts, Split, Unreadable
from resnet50.data.validation import train_validation_split
from resnet50.download import Progress, cache_folder

DECODING = 1
"""Raised whenever `read_image` gives other pixels for the same file, so that what is in the cache is not used."""

_FILES = {"training": "train", "validation": "val", "test": "test"}  # how the names of files of arrays begin


@dataclass(frozen=True)
class Splits:
    """What a source holds.

    Attributes:
        splits: One or more of ``"training"``, ``"validation"`` and ``"test"``; what has no part is training.
        unreadable: Files that none of the splits holds.
    """

    splits: Mapping[str, Split]
    unreadable: tuple[Unreadable, ...] = ()


def load_splits(
    source: str | os.PathLike[str] | Listing,
    *,
    side: int,
    pattern: str | None = None,
    most_unreadable: float = 0.1,
    progress: Progress | None = None,
) -> Splits:
    """Read a source in the parts that it has.

    Files of pictures are decoded once and kept as ``packed/<SHA-256>.h5`` in `cache_folder`, named by the contents,
    paths, labels, parts and groups of all of them and by the side. The next time they only have to be looked through
    for changes, and a changed, added or removed picture makes another such file. Those that are no longer wanted may be
    deleted at any time, or all of them with the folder; their times tell when each was last used.

    Args:
        source: What `list_pictures` takes or gave; a file in the schema of `resnet50.data.hdf5`; a folder with such
            files named ``train_*.h5`` and perhaps ``val_*.h5`` and ``test_*.h5``; or a folder of CIFAR-10.
        side: Height and width in pixels that every picture is brought to. Files of pictures have their middle cut to a
            square; arrays of another size are resized (bicubic, averaged where they shrink).
        pattern: For `list_pictures`: a regular expression that finds the class in a file's path.
        most_unreadable: Share of files, 0..1, that may be left out since they cannot be read.
        progress: Called with the files that are decoded and their number; never where all is in the cache.

    Returns:
        A split for each part, all of the same classes.

    Raises:
        FileNotFoundError: If nothing is there.
        OSError: If there is not enough room on the disk for the cache, or it cannot be written.
        ValueError: If the source is none of these, or damaged, or too many of its files cannot be read, or an
            argument is not as described.
    """
    if side < 1:
        raise ValueError(f"side must be at least 1 pixel, got {side!r}.")
    check_share(most_unreadable)
    if isinstance(source, Listing):
        return _packed(source, side, most_unreadable, progress)
    path = Path(source)
    arrays = _read_arrays(path) if pattern is None else None
    if arrays is None:
        return _packed(list_pictures(path, pattern=pattern), side, most_unreadable, progress)
    return replace(arrays, splits={part: _resized(split, side) for part, split in arrays.splits.items()})


def load_pictures(
    source: str | os.PathLike[str] | Listing,
    *,
    side: int,
    pattern: str | None = None,
    test: float = 0.2,
    seed: int = 0,
    most_unreadable: float = 0.1,
    progress: Progress | None = None,
) -> Parts:
    """Read a source as `load_splits` does, and cut a test part off the training pictures if it has none of its own.

    Args:
        source: As for `load_splits`.
        side: Height and width in pixels that every picture is brought to.
        pattern: As for `load_splits`.
        test: Share of the training pictures, above 0 and below 1, that becomes the test part where the source has none.
            What belongs together, by its group or as near-duplicates, stays together.
        seed: Decides which.
        most_unreadable: As for `load_splits`.
        progress: As for `load_splits`.

    Returns:
        Training and test pictures, and validation pictures if the source has such a part.

    Raises:
        FileNotFoundError: If nothing is there.
        OSError: If there is not enough room on the disk for the cache, or it cannot be written.
        ValueError: As `load_splits`; and if there are no training pictures, the share is none, or no test part can be
            cut off.
    """
    if not 0 < test < 1:
        raise ValueError(
            f"{_place(source)}: where there is no test part, a share above 0 and below 1 of the pictures must become "
            f"one, got {test!r}."
        )
    splits = load_splits(source, side=side, pattern=pattern, most_unreadable=most_unreadable, progress=progress)
    parts = dict(splits.splits)
    if "training" not in parts:
        raise ValueError(f"{_place(source)}: needed training pictures, found {' and '.join(parts)} pictures alone.")
    if "test" not in parts:
        parts["training"], parts["test"] = train_validation_split(parts["training"], test, seed=seed)
    return Parts(parts["training"], parts["test"], parts.get("validation"), splits.unreadable)


def _place(source: str | os.PathLike[str] | Listing) -> Path:
    return source.root if isinstance(source, Listing) else Path(source)


def _read_arrays(path: Path) -> Splits | None:
    """Read a source whose pictures are arrays; return None if it is of files."""
    if path.is_file():
        return Splits(read_h5(path), read_unreadable(path)) if path.suffix.lower() in (".h5", ".hdf5") else None
    if is_cifar10(path):
        return Splits(read_cifar10(path))
    found = {part: sorted(path.glob(f"{key}_*.h5")) for part, key in _FILES.items()}
    if not found["training"]:
        return None
    for part, files in found.items():
        if len(files) > 1:
            names = ", ".join(file.name for file in files)
            raise ValueError(f"{path}: needed one file {_FILES[part]}_*.h5, found {names}; name one file itself.")
    parts = {part: read_part(files[0], part) for part, files in found.items() if files}
    for part, split in parts.items():
        if split.class_names != parts["training"].class_names:
            raise ValueError(
                f"{found[part][0]}: needed the classes of {found['training'][0].name}, "
                f"{', '.join(parts['training'].class_names)}, found {', '.join(split.class_names)}."
            )
    return Splits(parts, tuple(told for files in found.values() for file in files for told in read_unreadable(file)))


def _resized(split: Split, side: int) -> Split:
    if split.images.shape[1:3] == (side, side):
        return split
    images = np.empty((len(split), side, side, 3), dtype=np.uint8)
    for index, image in enumerate(split.images):
        images[index] = np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC))
    return replace(split, images=images)


def _packed(listing: Listing, side: int, most_unreadable: float, progress: Progress | None) -> Splits:
    """Read files of pictures from the cache, after they were decoded into it if they are not there."""
    path = cache_folder() / "packed" / f"{_key(listing, side)}.h5"
    try:
        splits = _read_cached(path)
    except (FileNotFoundError, ValueError):  # ValueError: damaged
        try:
            pack(listing, path, side=side, most_unreadable=most_unreadable, progress=progress)
        except PermissionError as error:
            raise PermissionError(
                f"{path.parent}: needed a folder to keep decoded pictures in, found one that cannot be written; set "
                "RESNET50_CACHE to one that can."
            ) from error
        splits = _read_cached(path)
    check_unreadable(splits.unreadable, listing, most_unreadable)
    with suppress(OSError):  # a cache that others filled may be read-only
        os.utime(path)
    # of the same pictures elsewhere the name may be another
    return replace(
        splits, splits={part: replace(split, dataset=listing.dataset) for part, split in splits.splits.items()}
    )


def _read_cached(path: Path) -> Splits:
    return Splits(read_h5(path), read_unreadable(path))


def _key(listing: Listing, side: int) -> str:
    """Hash all that the packed pictures depend on."""
    digest = hashlib.sha256(repr((DECODING, side, listing.class_names)).encode())
    for entry, content in zip(listing.entries, in_order(_content, listing.entries), strict=True):
        digest.update(repr((listing.name_of(entry), entry.label, entry.part, entry.group, content)).encode())
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
