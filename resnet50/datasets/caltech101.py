"""Caltech-101: photos of objects in 101 categories, by Fei-Fei, Fergus and Perona at Caltech.

About 8,700 images, 30 to 800 of a category, about 300 x 200 pixels, in one folder per category; the published folder
also holds unrelated images (``BACKGROUND_Google``), which are left out. There is no test split: a fifth becomes one.
License: CC BY 4.0.

Source: Fei-Fei, Fergus and Perona 2004, "Learning generative visual models from few training examples".
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from resnet50._io.fetch import Progress
from resnet50.data.fit import Fit
from resnet50.data.listing import list_images
from resnet50.data.loading import load_dataset
from resnet50.data.splits import DatasetSplits

_NO_CLASS = "BACKGROUND_Google"


def load(
    path: str | os.PathLike[str] | None,
    *,
    image_size: int,
    fit: Fit | None = None,
    progress: Progress | None = None,
) -> DatasetSplits:
    """Read the published folder, or its ``101_ObjectCategories``."""
    if path is None:
        raise FileNotFoundError("caltech101: expected the folder 101_ObjectCategories, got no path.")
    inside = Path(path, "101_ObjectCategories")
    listing = list_images(inside if inside.is_dir() else path)
    names = tuple(name for name in listing.class_names if name != _NO_CLASS)
    entries = tuple(
        replace(entry, label=names.index(listing.class_names[entry.label]))
        for entry in listing.entries
        if listing.class_names[entry.label] != _NO_CLASS
    )
    listing = replace(listing, entries=entries, class_names=names, name="Caltech-101")
    return load_dataset(listing, image_size=image_size, fit=fit, progress=progress)
