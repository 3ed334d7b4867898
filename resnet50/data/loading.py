"""Read images from any source into splits of one image size."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from resnet50._io.fetch import Progress
from resnet50._io.text import listed
from resnet50.data.cache import read_decoded, read_packed
from resnet50.data.cifar10 import is_cifar10, read_cifar10
from resnet50.data.corrections import read_corrections
from resnet50.data.dataset import Dataset
from resnet50.data.fit import DEFAULT_FIT, Fit
from resnet50.data.hdf5 import read_packing, read_split
from resnet50.data.listing import Listing, list_images
from resnet50.data.options import DEFAULT_OPTIONS, ReadOptions
from resnet50.data.records import is_records, read_records
from resnet50.data.resizing import fit_pixels
from resnet50.data.splits import DatasetSplits

_log = logging.getLogger(__name__)

_FILES = {"train": "train", "validation": "val", "test": "test"}  # how the names of the splits' h5 files begin


def read_splits(
    source: str | os.PathLike[str] | Listing,
    *,
    image_size: int,
    fit: Fit | None = None,
    options: ReadOptions = DEFAULT_OPTIONS,
    for_training: bool = True,
    progress: Progress | None = None,
) -> DatasetSplits:
    """Read a source in the splits that it has.

    Image files are decoded once and cached (`resnet50.data.cache`); later calls only check them for changes.

    Args:
        source: What `list_images` takes or returned; a file in the schema of `resnet50.data.hdf5`; a folder with such
            files named ``train_*.h5`` and optionally ``val_*.h5`` and ``test_*.h5``; a folder of CIFAR-10; or one of
            packed records (`resnet50.data.records`).
        image_size: Height and width in pixels of all images.
        fit: How images are fitted to it; None for `DEFAULT_FIT`, or as a packed file was.
        options: How image files are read; ``test_split`` is not used here.
        for_training: Whether the rules of training hold, as in `list_images`.
        progress: Called with the files done and their number: as they are compared with the cache and, if they are not
            in it, again as they are decoded. Never if the source is arrays or records.

    Returns:
        The splits, all with the same classes; images without a split are in ``train``. Their ``fit`` has the value
        range that was measured.

    Raises:
        FileNotFoundError: If nothing is there.
        OSError: If there is not enough room on the disk for the cache, or it cannot be written.
        ValueError: If the source is none of these, or is damaged, or too many of its files cannot be read, a file
            was packed with another fit, or an argument is not as described.
    """
    if image_size < 1:
        raise ValueError(f"expected image_size to be at least 1 pixel, got {image_size!r}.")
    if options.corrections is not None:
        corrections, uncorrected = read_corrections(options.corrections), replace(options, corrections=None)
        splits = read_splits(
            source, image_size=image_size, fit=fit, options=uncorrected, for_training=for_training, progress=progress
        )
        return splits.correct(corrections)
    if not isinstance(source, Listing):
        if options.pattern is None and not options.groups and is_records(source):
            return read_records(source, image_size=image_size, fit=fit, options=options)
        arrays = (
            _read_arrays(Path(source), for_training=for_training)
            if options.pattern is None and not options.groups
            else None
        )
        if arrays is not None:
            splits = _fit_arrays(arrays, Path(source), image_size, fit)
            return replace(splits, identical_only=not options.near_duplicates)
        source = list_images(source, pattern=options.pattern, groups=options.groups, for_training=for_training)
    splits = read_decoded(source, image_size=image_size, fit=fit or DEFAULT_FIT, options=options, progress=progress)
    return replace(splits, identical_only=not options.near_duplicates, other_columns=source.other_columns)


def load_dataset(
    source: str | os.PathLike[str] | Listing,
    *,
    image_size: int,
    fit: Fit | None = None,
    options: ReadOptions = DEFAULT_OPTIONS,
    seed: int = 0,
    progress: Progress | None = None,
) -> DatasetSplits:
    """Read a source like `read_splits`, and cut a test split off the training images if it has none.

    Images of one group and near-duplicates stay together.

    Args:
        source: As for `read_splits`.
        image_size: Height and width in pixels of all images.
        fit: As for `read_splits`.
        options: How the source is read.
        seed: Determines which images become the test split.
        progress: As for `read_splits`, and as images are compared for a cut.

    Returns:
        Training and test images, and validation images if the source has such a split.

    Raises:
        FileNotFoundError: If nothing is there.
        OSError: If there is not enough room on the disk for the cache, or it cannot be written.
        ValueError: As `read_splits`; and if there are no training images, or no test split can be cut off.
    """
    corrections = read_corrections(options.corrections) if options.corrections is not None else None
    uncorrected = replace(options, corrections=None)
    splits = _with_test(source, image_size, fit, uncorrected, seed, progress)
    return splits.correct(corrections) if corrections is not None else splits


def _with_test(
    source: str | os.PathLike[str] | Listing,
    image_size: int,
    fit: Fit | None,
    options: ReadOptions,
    seed: int,
    progress: Progress | None,
) -> DatasetSplits:
    splits = read_splits(source, image_size=image_size, fit=fit, options=options, progress=progress)
    if splits.train is None:
        place = source.root if isinstance(source, Listing) else Path(source)
        raise ValueError(f"{place}: expected training images, got {' and '.join(splits.by_name)} images only.")
    if splits.test is not None:
        return splits
    _log.info("comparing images")
    splits.find_near_duplicates(progress=progress)
    return splits.cut(options.test_split, into="test", seed=seed)


def _read_arrays(path: Path, *, for_training: bool) -> DatasetSplits | None:
    """Read a source whose images are arrays; return None for other sources."""
    if path.is_file():
        return read_packed(path) if path.suffix.lower() in (".h5", ".hdf5") else None
    if is_cifar10(path):
        return DatasetSplits.of(read_cifar10(path))
    needed = [_FILES["train"]] if for_training else _FILES.values()
    if not any(any(path.glob(f"{start}_*.h5")) for start in needed):
        return None
    files = {split: _only_file(path, start) for split, start in _FILES.items()}
    present = {split: file for split, file in files.items() if file is not None}
    splits = {split: read_split(file, split) for split, file in present.items()}
    first = next(iter(present))
    for split, dataset in splits.items():
        if dataset.class_names != splits[first].class_names:
            raise ValueError(
                f"{present[split]}: expected the classes of {present[first].name}, "
                f"{listed(splits[first].class_names, most=10)}, got {listed(dataset.class_names, most=10)}."
            )
    packings = [read_packing(file) for file in present.values()]
    unreadable = tuple(each for packing in packings for each in packing.unreadable)
    left_out = tuple(each for packing in packings for each in packing.left_out)
    return DatasetSplits.of(splits, unreadable, left_out)


def _only_file(folder: Path, start: str) -> Path | None:
    """Return the h5 file of a split, or None if there is none."""
    files = sorted(folder.glob(f"{start}_*.h5"))
    if len(files) > 1:
        names = ", ".join(file.name for file in files)
        raise ValueError(f"{folder}: expected one file {start}_*.h5, got {names}; name one file itself.")
    return files[0] if files else None


def stored_fit(source: str | os.PathLike[str]) -> Fit | None:
    """Return how the images of a packed file, or of a folder of packed files, were fitted; None for other sources."""
    path = Path(source)
    if path.is_file():
        return read_packing(path).fit if path.suffix.lower() in (".h5", ".hdf5") else None
    return _fit_of_folder(path) if any(path.glob(f"{_FILES['train']}_*.h5")) else None


def _fit_of_folder(folder: Path) -> Fit | None:
    """Return how the images of a folder's packed files, one for each split, were fitted."""
    files = [file for file in (_only_file(folder, start) for start in _FILES.values()) if file is not None]
    fits = {file: read_packing(file).fit for file in files}
    for file in files:
        if fits[file] != fits[files[0]]:
            raise ValueError(
                f"{file}: expected images that are fitted as those of {files[0].name}, by "
                f"{fits[files[0]] or 'no fit'}, got {fits[file] or 'no fit'}; pack both with the same options."
            )
    return fits[files[0]] if files else None


def fit_arrays(splits: DatasetSplits, image_size: int, fit: Fit) -> DatasetSplits:
    """Fit images that are arrays to a size, as files of these pixels would be."""
    return replace(splits.map(lambda dataset: _fitted(dataset, image_size, fit)), fit=fit)


def _fit_arrays(splits: DatasetSplits, path: Path, image_size: int, fit: Fit | None) -> DatasetSplits:
    """Fit the images of an h5 file or of CIFAR-10, unless they were fitted when they were packed."""
    stored = _fit_of_folder(path) if path.is_dir() else stored_fit(path)
    if stored is None:
        return fit_arrays(splits, image_size, fit or DEFAULT_FIT)
    if fit is not None and not fit.asks_for(stored):
        raise ValueError(
            f"{path}: expected images with this fit ({fit}), got a file that was packed with another one ({stored}); "
            "pack it again with these options, or leave them out."
        )
    return replace(fit_arrays(splits, image_size, Fit(mode="stretch", resampling=stored.resampling)), fit=stored)


def _fitted(dataset: Dataset, image_size: int, fit: Fit) -> Dataset:
    if dataset.images.shape[1:3] == (image_size, image_size) and fit.crop_ratio == 1:
        return dataset
    images = np.empty((len(dataset), image_size, image_size, 3), dtype=np.uint8)
    for index, image in enumerate(dataset.images):
        images[index] = fit_pixels(Image.fromarray(image), (image_size, image_size), fit)
    return replace(dataset, images=images)
