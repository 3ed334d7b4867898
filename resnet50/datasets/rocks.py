"""Rocks: 30 classes in three categories, and how alike people judge them to look.

Nosofsky, Sanders, Meagher and Douglas 2018, Behavior Research Methods 50:530-556, https://osf.io/w64fv: 360 images to
train on in ``360 Rocks``, 120 to test in ``120 Rocks``, and the judgments in ``mds_360.txt`` and ``mds_120.txt``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from resnet50._io.fetch import Progress
from resnet50.data.dataset import Dataset, DatasetSplits
from resnet50.data.listing import Listing, list_images
from resnet50.data.loading import load_dataset

CATEGORIES: Mapping[str, str] = MappingProxyType(
    {
        kind: category
        for category, kinds in {
            "Igneous": (
                "Andesite", "Basalt", "Diorite", "Gabbro", "Granite", "Obsidian", "Pegmatite", "Peridotite", "Pumice",
                "Rhyolite",
            ),
            "Metamorphic": (
                "Amphibolite", "Anthracite", "Gneiss", "Hornfels", "Marble", "Migmatite", "Phyllite", "Quartzite",
                "Schist", "Slate",
            ),
            "Sedimentary": (
                "Bituminous Coal", "Breccia", "Chert", "Conglomerate", "Dolomite", "Micrite", "Rock Gypsum",
                "Rock Salt", "Sandstone", "Shale",
            ),
        }.items()
        for kind in kinds
    }
)  # fmt: skip
"""The category of each kind of rock; the first letter of its files' names."""

DIMENSIONS = (
    "lightness", "grain size", "roughness", "shininess", "organization", "chromaticity", "shape", "hue",
)  # fmt: skip
"""What the human judgements vary along, in the order of their columns: the authors' names."""

_SETS = {"360 Rocks": ("train", "mds_360.txt"), "120 Rocks": ("test", "mds_120.txt")}

_PATTERN = r"^(360|120) Rocks/[IMS]_(?P<class>[^/]+?)_\d+(_\d+)?\.\w+$"  # such as I_Andesite_01 and I_Andesite_1_120


def load(path: str | os.PathLike[str] | None, *, image_size: int, progress: Progress | None = None) -> DatasetSplits:
    """Read the 360 images for training and the 120 for testing.

    Args:
        path: Folder that holds ``360 Rocks`` and ``120 Rocks``.
        image_size: Height and width in pixels that every image is brought to.
        progress: Called while images are decoded.

    Returns:
        Training and test images of 30 classes, each in the order of their file names.

    Raises:
        FileNotFoundError: If one of the folders is missing, or no place is named.
        ValueError: If a file's name does not tell its kind, or too many files cannot be read.
    """
    if path is None:
        raise FileNotFoundError(f"rocks: expected the folder that holds {' and '.join(_SETS)}, got no path.")
    listing = _listing(path)
    parted = tuple(replace(entry, split=_SETS[entry.path.parent.name][0]) for entry in listing.entries)
    return load_dataset(replace(listing, entries=parted, name="rocks"), image_size=image_size, progress=progress)


def human_space(data: str | os.PathLike[str], dataset: Dataset) -> np.ndarray:
    """Read where people's judgements put the images of a split: the nearer two are, the more alike they look.

    Args:
        data: Folder that holds ``mds_360.txt`` and ``mds_120.txt`` beside the images.
        dataset: Images that `load` read, or some of them.

    Returns:
        float64 ``(n, 8)``, row k for image k of the split; the columns are `DIMENSIONS`. The two files are
        two solutions: their scales differ, and their axes meet well along lightness, grain size and shininess, less
        along the others.

    Raises:
        FileNotFoundError: If a file or a folder of images is missing.
        ValueError: If a file does not have a row of eight numbers for each image, or an image is none of them.
    """
    entries = _listing(data).entries  # in the order of the rows; what cannot be read has its row too
    places: dict[str, np.ndarray] = {}
    for inside, (_, name) in _SETS.items():
        path = Path(data, name)
        if not path.is_file():
            raise FileNotFoundError(f"{path}: expected the human judgements of {inside}, found nothing there.")
        images = [f"{inside}/{entry.path.name}" for entry in entries if entry.path.parent.name == inside]
        try:
            rows = np.loadtxt(path, ndmin=2)
        except ValueError as error:
            raise ValueError(f"{path}: expected rows of numbers, found other text ({error}).") from error
        if rows.shape != (len(images), len(DIMENSIONS)):
            raise ValueError(
                f"{path}: expected {len(DIMENSIONS)} numbers for each of the {len(images)} images in {inside}, "
                f"found {rows.shape[0]} rows of {rows.shape[1]}."
            )
        places |= dict(zip(images, rows, strict=True))
    names = ["/".join(Path(source).parts[-2:]) for source in dataset.paths]
    strange = [name for name in names if name not in places]
    if strange:
        raise ValueError(f"{data}: expected images of {' and '.join(_SETS)}, got {strange[0]}, which is in neither.")
    return np.array([places[name] for name in names]).reshape(-1, len(DIMENSIONS))


def _listing(data: str | os.PathLike[str]) -> Listing:
    for inside in _SETS:
        if not Path(data, inside).is_dir():
            raise FileNotFoundError(f"{data}: expected the folders {' and '.join(_SETS)} in it, found no {inside}.")
    return list_images(data, pattern=_PATTERN)


def by_category(probabilities: np.ndarray, dataset: Dataset) -> tuple[np.ndarray, Dataset]:
    """Add up what a classifier says of the kinds of rocks to what it says of the three categories.

    Args:
        probabilities: float ``(n, 30)``, 0..1, a column for each class of the split.
        dataset: The images that were classified.

    Returns:
        Probabilities ``(n, 3)`` and the split with the categories as classes, for `resnet50.metrics.scores.score`.

    Raises:
        ValueError: If a class of the split is no kind of rock in `CATEGORIES`.
    """
    strange = [name for name in dataset.class_names if name not in CATEGORIES]
    if strange:
        raise ValueError(f"{dataset.name}: expected kinds of rocks as classes, got {', '.join(strange)}.")
    names = tuple(dict.fromkeys(CATEGORIES.values()))
    category = np.array([names.index(CATEGORIES[kind]) for kind in dataset.class_names])
    merged = probabilities @ (category[:, None] == np.arange(len(names)))
    return merged, replace(dataset, labels=category[dataset.labels].astype(np.int64), class_names=names)
