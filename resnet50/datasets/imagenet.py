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
from resnet50.data.splits import DatasetSplits


def load(
    path: str | os.PathLike[str] | None,
    *,
    image_size: int,
    fit: Fit | None = None,
    progress: Progress | None = None,
) -> DatasetSplits:
    """Read the folder with ``train`` and ``val``.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If it has no ``val``, or its images cannot be read.
    """
    if path is None:
        raise FileNotFoundError("imagenet: expected the folder with train and val, got no path.")
    listing = list_images(path, groups=False)
    splits = {entry.split for entry in listing.entries}
    if not splits & {"validation", "test"}:
        raise ValueError(
            f"{path}: expected the folders train and val, got no val; add it, or train on your own images with "
            "'resnet50 train FOLDER'."
        )
    if "test" not in splits:
        entries = (replace(each, split="test") if each.split == "validation" else each for each in listing.entries)
        listing = replace(listing, entries=tuple(entries))
    return load_dataset(replace(listing, name="ImageNet"), image_size=image_size, fit=fit, progress=progress)
