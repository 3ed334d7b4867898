"""Caltech-101 (Fei-Fei et al. 2004, "Learning generative visual models from few training examples")."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from resnet50._io.fetch import Progress
from resnet50.data.dataset import DatasetSplits
from resnet50.data.listing import list_images
from resnet50.data.loading import load_dataset

_NO_CLASS = "BACKGROUND_Google"  # a folder of unrelated images


def load(path: str | os.PathLike[str] | None, *, image_size: int, progress: Progress | None = None) -> DatasetSplits:
    """Read the images but those of ``BACKGROUND_Google``; a fifth of each class becomes the test split.

    Args:
        path: The published folder, or its ``101_ObjectCategories``.
        image_size: Height and width in pixels that every image is brought to.
        progress: Called while images are decoded.

    Returns:
        Training and test images.

    Raises:
        FileNotFoundError: If nothing is there, or no path is given.
        ValueError: If there are no class folders, or too many files cannot be read.
    """
    if path is None:
        raise FileNotFoundError("caltech101: expected the folder 101_ObjectCategories, got no path.")
    inside = Path(path, "101_ObjectCategories")
    listing = list_images(inside if inside.is_dir() else path)
    names = tuple(name for name in listing.class_names if name != _NO_CLASS)
    chosen = [entry for entry in listing.entries if listing.class_names[entry.label] != _NO_CLASS]
    entries = tuple(replace(entry, label=names.index(listing.class_names[entry.label])) for entry in chosen)
    listing = replace(listing, entries=entries, class_names=names, name="Caltech-101")
    return load_dataset(listing, image_size=image_size, progress=progress)
