"""ImageNet (ILSVRC 2012), or any images in its usual folders: ``train`` and ``val`` with a folder for each class.

1,281,167 training and 50,000 validation images of 1,000 classes. The labels of its test images are not published, so
that accuracies in the literature are those of the validation images: they are the test split here. To be had from
image-net.org after registration, for non-commercial research.

Source: Russakovsky et al. 2015, arXiv:1409.0575.
"""

from __future__ import annotations

import os
from dataclasses import replace

from resnet50._io.fetch import Progress
from resnet50.data.fit import Fit
from resnet50.data.listing import list_images
from resnet50.data.loading import load_dataset
from resnet50.data.records import is_records, read_records
from resnet50.data.splits import DatasetSplits


def load(
    path: str | os.PathLike[str] | None,
    *,
    image_size: int,
    fit: Fit | None = None,
    progress: Progress | None = None,
) -> DatasetSplits:
    """Read the folder with ``train`` and ``val``, or the records that it was packed into.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If it has no ``val``, or its images cannot be read.
    """
    if path is None:
        raise FileNotFoundError("imagenet: expected the folder with train and val, got no path.")
    if is_records(path):
        return _read_packed(path, image_size, fit)
    listing = list_images(path, groups=False)
    splits = {entry.split for entry in listing.entries}
    if not splits & {"validation", "test"}:
        raise _no_val(path)
    if "test" not in splits:
        entries = (replace(each, split="test") if each.split == "validation" else each for each in listing.entries)
        listing = replace(listing, entries=tuple(entries))
    return load_dataset(replace(listing, name="ImageNet"), image_size=image_size, fit=fit, progress=progress)


def _read_packed(path: str | os.PathLike[str], image_size: int, fit: Fit | None) -> DatasetSplits:
    packed = read_records(path, image_size=image_size, fit=fit)
    if packed.validation is None and packed.test is None:
        raise _no_val(path)
    splits = packed.map(lambda dataset: replace(dataset, name="ImageNet"))
    if splits.test is None:
        splits = replace(splits, test=splits.validation, validation=None)
    return splits.with_near_duplicates(packed.near_duplicates)  # which are numbered in the order that the images keep


def _no_val(path: str | os.PathLike[str]) -> ValueError:
    return ValueError(
        f"{path}: expected the folders train and val, got no val; add it, or train on your own images with "
        "'resnet50 train FOLDER'."
    )
