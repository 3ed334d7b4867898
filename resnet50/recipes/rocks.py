"""Rocks: 30 kinds of igneous, metamorphic and sedimentary rocks; 360 pictures to train with and 120 to test.

Command: ``resnet50 train rocks --data DIR``, where DIR holds ``360 Rocks`` and ``120 Rocks``, as published (Nosofsky,
Sanders, Meagher and Douglas 2018, Behavior Research Methods 50:530-556, https://osf.io/w64fv). For the same pictures
people judged how alike they look; ``resnet50 rocks similarity RUN`` says how far a network agrees with them, from
``mds_360.txt`` and ``mds_120.txt`` in the same DIR.

From scratch it reaches 14.2 % of the 120 test pictures on average over seeds 0 to 2, from 12.5 to 16.7, sd 2.2, where
guessing gives 3.3; the classic setting, from scratch too, 5.3 %, from 3.3 to 7.5, sd 2.1
(``benchmarks/results/tasks-rocks.json``). Ten pictures of a kind are few to learn from. A run took 203 to 213 s on two
cores with AVX512-BF16.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from resnet50.data.augmentation import Augmentation
from resnet50.data.listing import Listing, list_pictures
from resnet50.data.pictures import load_pictures
from resnet50.data.split import Parts, Split
from resnet50.download import Progress
from resnet50.recipes import folder
from resnet50.training.recipe import Phase, Recipe

RECIPE = replace(
    folder.RECIPE,
    name="rocks",
    epochs=60,
    warmup_epochs=5,
    average_epochs=10,
    side=64,
    # a rock has no upside, but its colour tells it
    augmentation=Augmentation(shift=0.1, rotation=180, zoom=0.25, brightness=0.05, contrast=0.1, flip=True),
)

VARIANTS: Mapping[str, Recipe] = MappingProxyType(
    {
        "scratch": RECIPE,
        "fine-tuned": replace(
            folder.FINE_TUNED,
            name="rocks",
            before=tuple(replace(phase, epochs=10) for phase in folder.FINE_TUNED.before),
            epochs=40,
            warmup_epochs=5,
            beta_2=RECIPE.beta_2,  # an epoch is ten steps
            augmentation=RECIPE.augmentation,
        ),
        "classic": Recipe(
            name="rocks",
            weights="imagenet",
            head="mlp",
            before=(
                Phase(
                    epochs=100,
                    learning_rate=1e-3,
                    schedule="plateau",
                    rate_factor=0.1,
                    rate_patience=10,
                    trains="head",
                    patience=20,
                ),
            ),
            epochs=150,
            learning_rate=1e-4,
            warmup_epochs=0,
            schedule="plateau",
            rate_factor=0.1,
            rate_patience=10,
            patience=20,
            weight_decay=0.0,
            label_smoothing=0.0,
            validation=0.2,
            keep="best",
            precision="float32",
            side=224,
            augmentation=Augmentation(rotation=20, shear=10, zoom=0.2, flip=True),
        ),
    }
)

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

_SETS = {"360 Rocks": ("training", "mds_360.txt"), "120 Rocks": ("test", "mds_120.txt")}

_PATTERN = r"^(360|120) Rocks/[IMS]_(?P<class>[^/]+?)_\d+(_\d+)?\.\w+$"  # such as I_Andesite_01 and I_Andesite_1_120


def load(data: str | os.PathLike[str] | None, *, side: int, progress: Progress | None = None) -> Parts:
    """Read the 360 pictures for training and the 120 for testing.

    Args:
        data: Folder that holds ``360 Rocks`` and ``120 Rocks``.
        side: Height and width in pixels that every picture is brought to.
        progress: Called while pictures are decoded.

    Returns:
        Training and test pictures of 30 classes, each in the order of their file names.

    Raises:
        FileNotFoundError: If one of the folders is missing, or no place is named.
        ValueError: If a file's name does not tell its kind, or too many files cannot be read.
    """
    if data is None:
        raise FileNotFoundError(f"needed the folder that holds {' and '.join(_SETS)}, got none; name it with --data.")
    listing = _listing(data)
    parted = tuple(replace(entry, part=_SETS[entry.path.parent.name][0]) for entry in listing.entries)
    return load_pictures(replace(listing, entries=parted, dataset="rocks"), side=side, progress=progress)


def human_space(data: str | os.PathLike[str], split: Split) -> np.ndarray:
    """Read where people's judgements put the pictures of a split: the nearer two are, the more alike they look.

    Args:
        data: Folder that holds ``mds_360.txt`` and ``mds_120.txt`` beside the pictures.
        split: Pictures that `load` read, or some of them.

    Returns:
        float64 ``(n, 8)``, row k for picture k of the split; the columns are `DIMENSIONS`. The two files are
        two solutions: their scales differ, and their axes meet well along lightness, grain size and shininess, less
        along the others.

    Raises:
        FileNotFoundError: If a file or a folder of pictures is missing.
        ValueError: If a file does not have a row of eight numbers for each picture, or a picture is none of them.
    """
    entries = _listing(data).entries  # in the order of the rows; what cannot be read has its row too
    places: dict[str, np.ndarray] = {}
    for inside, (_, name) in _SETS.items():
        path = Path(data, name)
        if not path.is_file():
            raise FileNotFoundError(f"{path}: needed the human judgements of {inside}, found nothing there.")
        pictures = [f"{inside}/{entry.path.name}" for entry in entries if entry.path.parent.name == inside]
        try:
            rows = np.loadtxt(path, ndmin=2)
        except ValueError as error:
            raise ValueError(f"{path}: needed rows of numbers, found other text ({error}).") from error
        if rows.shape != (len(pictures), len(DIMENSIONS)):
            raise ValueError(
                f"{path}: needed {len(DIMENSIONS)} numbers for each of the {len(pictures)} pictures in {inside}, "
                f"found {rows.shape[0]} rows of {rows.shape[1]}."
            )
        places |= dict(zip(pictures, rows, strict=True))
    names = ["/".join(Path(source).parts[-2:]) for source in split.sources]
    strange = [name for name in names if name not in places]
    if strange:
        raise ValueError(f"{data}: needed pictures of {' and '.join(_SETS)}, got {strange[0]}, which is in neither.")
    return np.array([places[name] for name in names]).reshape(-1, len(DIMENSIONS))


def _listing(data: str | os.PathLike[str]) -> Listing:
    for inside in _SETS:
        if not Path(data, inside).is_dir():
            raise FileNotFoundError(f"{data}: needed the folders {' and '.join(_SETS)} in it, found no {inside}.")
    return list_pictures(data, pattern=_PATTERN)


def by_category(probabilities: np.ndarray, split: Split) -> tuple[np.ndarray, Split]:
    """Add up what a classifier says of the kinds of rocks to what it says of the three categories.

    Args:
        probabilities: float ``(n, 30)``, 0..1, a column for each class of the split.
        split: The pictures that were classified.

    Returns:
        Probabilities ``(n, 3)`` and the split with the categories as classes, for `resnet50.evaluation.report.score`.

    Raises:
        ValueError: If a class of the split is no kind of rock in `CATEGORIES`.
    """
    strange = [name for name in split.class_names if name not in CATEGORIES]
    if strange:
        raise ValueError(f"{split.dataset}: needed kinds of rocks as classes, got {', '.join(strange)}.")
    names = tuple(dict.fromkeys(CATEGORIES.values()))
    category = np.array([names.index(CATEGORIES[kind]) for kind in split.class_names])
    merged = probabilities @ (category[:, None] == np.arange(len(names)))
    return merged, replace(split, labels=category[split.labels].astype(np.int64), class_names=names)
