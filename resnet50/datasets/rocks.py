"""Rocks: photos of 30 classes of rocks in three categories, and people's judgments of their similarity.

360 training images in ``360 Rocks`` and 120 test images in ``120 Rocks``, about 800 x 800 pixels, with the judgments in
``mds_360.txt`` and ``mds_120.txt``. Published at https://osf.io/w64fv; license: see there.

Source: Nosofsky, Sanders, Meagher and Douglas 2018, Behavior Research Methods 50:530-556.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from resnet50._io.fetch import Progress
from resnet50.data.dataset import Dataset
from resnet50.data.fit import Fit
from resnet50.data.listing import Listing, list_images
from resnet50.data.loading import load_dataset
from resnet50.data.splits import DatasetSplits

CATEGORIES: Mapping[str, str] = MappingProxyType(
    {
        rock: category
        for category, rocks in {
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
        for rock in rocks
    }
)  # fmt: skip
"""The category of each class; its first letter begins the names of the class's files."""

DIMENSIONS = (
    "lightness", "grain size", "roughness", "shininess", "organization", "chromaticity", "shape", "hue",
)  # fmt: skip
"""The dimensions of the human judgments, in the order of their columns, as the authors name them."""

_FOLDERS = {"360 Rocks": ("train", "mds_360.txt"), "120 Rocks": ("test", "mds_120.txt")}

_PATTERN = r"^(360|120) Rocks/[IMS]_(?P<class>[^/]+?)_\d+(_\d+)?\.\w+$"  # such as I_Andesite_01 and I_Andesite_1_120


def load(
    path: str | os.PathLike[str] | None,
    *,
    image_size: int,
    fit: Fit | None = None,
    progress: Progress | None = None,
) -> DatasetSplits:
    """Read the folder with ``360 Rocks`` and ``120 Rocks``; each split is in the order of its file names."""
    if path is None:
        raise FileNotFoundError(f"rocks: expected the folder that holds {' and '.join(_FOLDERS)}, got no path.")
    listing = _listing(path)
    entries = tuple(replace(entry, split=_FOLDERS[entry.path.parent.name][0]) for entry in listing.entries)
    return load_dataset(
        replace(listing, entries=entries, name="rocks"), image_size=image_size, fit=fit, progress=progress
    )


def human_space(data: str | os.PathLike[str], dataset: Dataset) -> np.ndarray:
    """Read the coordinates of images in the space of people's judgments: similar rocks are close to each other.

    Args:
        data: Folder that holds ``mds_360.txt`` and ``mds_120.txt`` beside the images.
        dataset: Images that `load` read, or some of them.

    Returns:
        float64 ``(n, 8)``, row k for image k of the dataset; the columns are `DIMENSIONS`. The two files are separate
        solutions: their scales differ, and their axes agree well along lightness, grain size and shininess, less along
        the others.

    Raises:
        FileNotFoundError: If a file or a folder of images is missing.
        ValueError: If a file does not have a row of eight numbers for each image, or an image is in neither folder.
    """
    entries = _listing(data).entries  # in the order of the rows; files that cannot be read have rows too
    coordinates: dict[str, np.ndarray] = {}
    for folder, (_, name) in _FOLDERS.items():
        images = [f"{folder}/{entry.path.name}" for entry in entries if entry.path.parent.name == folder]
        coordinates |= dict(zip(images, _read_judgments(Path(data, name), folder, len(images)), strict=True))
    names = ["/".join(Path(path).parts[-2:]) for path in dataset.paths]
    unknown = [name for name in names if name not in coordinates]
    if unknown:
        raise ValueError(f"{data}: expected images of {' and '.join(_FOLDERS)}, got {unknown[0]}, which is in neither.")
    return np.array([coordinates[name] for name in names]).reshape(-1, len(DIMENSIONS))


def by_category(probabilities: np.ndarray, dataset: Dataset) -> tuple[np.ndarray, Dataset]:
    """Sum a classifier's probabilities for the classes of rocks to probabilities for the three categories.

    Args:
        probabilities: float ``(n, 30)``, 0..1, a column for each class of the dataset.
        dataset: The images that were classified.

    Returns:
        Probabilities ``(n, 3)`` and the dataset with the categories as classes, for `resnet50.metrics.scores.score`.

    Raises:
        ValueError: If a class of the dataset is not in `CATEGORIES`.
    """
    unknown = [name for name in dataset.class_names if name not in CATEGORIES]
    if unknown:
        raise ValueError(f"{dataset.name}: expected classes of rocks, got {', '.join(unknown)}.")
    names = tuple(dict.fromkeys(CATEGORIES.values()))
    category = np.array([names.index(CATEGORIES[rock]) for rock in dataset.class_names])
    merged = probabilities @ (category[:, None] == np.arange(len(names)))
    return merged, replace(dataset, labels=category[dataset.labels].astype(np.int64), class_names=names)


def _listing(data: str | os.PathLike[str]) -> Listing:
    for folder in _FOLDERS:
        if not Path(data, folder).is_dir():
            raise FileNotFoundError(f"{data}: expected the folders {' and '.join(_FOLDERS)} in it, got no {folder}.")
    return list_images(data, pattern=_PATTERN)


def _read_judgments(path: Path, folder: str, count: int) -> np.ndarray:
    """Return a row of `DIMENSIONS` for each image of a folder, float64 ``(count, 8)``."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected the human judgments of {folder}, got no file.")
    try:
        rows = np.loadtxt(path, ndmin=2)
    except ValueError as error:
        raise ValueError(f"{path}: expected rows of numbers, got other text ({error}).") from error
    if rows.shape != (count, len(DIMENSIONS)):
        raise ValueError(
            f"{path}: expected {len(DIMENSIONS)} numbers for each of the {count} images in {folder}, got "
            f"{rows.shape[0]} rows of {rows.shape[1]}."
        )
    return rows
