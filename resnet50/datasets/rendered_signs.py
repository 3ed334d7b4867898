"""Rendered signs: drawn hands that show 0 to 5 fingers, so that the library trains and is tested without a download.

They replace SIGNS, the course's photos of hands, and are not photos. This library draws them
(`resnet50.datasets.hand_drawing`): 1080 training and 120 test images unless other numbers are given, 6 classes, under
the library's license.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.random import Generator

from resnet50._io.fetch import Progress
from resnet50.data.dataset import Dataset
from resnet50.data.fit import DEFAULT_FIT, Fit
from resnet50.data.hdf5 import write_split
from resnet50.data.loading import fit_arrays, load_dataset
from resnet50.data.splits import DatasetSplits
from resnet50.datasets.hand_drawing import draw_hand
from resnet50.datasets.signs import TEST_FILE, TRAIN_FILE

DATASET = "rendered signs"
"""Name of the dataset in every output, so that these drawings are never mistaken for SIGNS."""

GESTURES: dict[str, dict[tuple[str, ...], float]] = {
    "0": {(): 1.0},
    "1": {("index",): 0.85, ("thumb",): 0.15},
    "2": {("index", "middle"): 0.8, ("thumb", "index"): 0.12, ("index", "little"): 0.08},
    "3": {("thumb", "index", "middle"): 0.5, ("index", "middle", "ring"): 0.45, ("middle", "ring", "little"): 0.05},
    "4": {("index", "middle", "ring", "little"): 0.95, ("thumb", "index", "middle", "ring"): 0.05},
    "5": {("thumb", "index", "middle", "ring", "little"): 1.0},
}
"""For each class, the sets of raised fingers that show it, and how often each does."""

_MIN_IMAGE_SIZE = 32  # pixels; below it a finger is about two pixels thick
_SPLIT_NUMBERS = {"train": 0, "test": 1}


def rendered_signs(
    *, train: int = 1080, test: int = 120, image_size: int = 64, seed: int = 0
) -> tuple[Dataset, Dataset]:
    """Draw the dataset.

    Image k of a split depends only on the seed, the split, k and the image size: a larger dataset begins with the
    smaller one.

    Args:
        train: Number of training images.
        test: Number of test images, drawn from a random stream of their own.
        image_size: Height and width in pixels.
        seed: Selects one of the possible datasets; 0 or more.

    Returns:
        Training and test images: RGB uint8 ``(n, image_size, image_size, 3)``; the six classes are as even as n allows,
        in an order that is shuffled within every six images.

    Raises:
        ValueError: If an argument is not as described.
    """
    limits = {"train": (train, 1), "test": (test, 1), "image_size": (image_size, _MIN_IMAGE_SIZE), "seed": (seed, 0)}
    for name, (value, least) in limits.items():
        if value < least:
            raise ValueError(f"{DATASET}: expected {name} to be at least {least}, got {value}.")
    return _draw("train", train, image_size, seed), _draw("test", test, image_size, seed)


def write_rendered_signs(
    directory: str | os.PathLike[str], *, train: int = 1080, test: int = 120, image_size: int = 64, seed: int = 0
) -> tuple[Path, Path]:
    """Draw the dataset and write it in the schema of SIGNS.

    Args:
        directory: Folder for the two files, created if it does not exist. Files with their names are replaced.
        train: Number of training images.
        test: Number of test images.
        image_size: Height and width in pixels.
        seed: Selects one of the possible datasets; 0 or more.

    Returns:
        The training file and the test file, which ``load_signs(directory)`` reads.

    Raises:
        ValueError: If an argument is not as described.
    """
    datasets = rendered_signs(train=train, test=test, image_size=image_size, seed=seed)
    paths = Path(directory, TRAIN_FILE), Path(directory, TEST_FILE)
    for dataset, path, split in zip(datasets, paths, ("train", "test"), strict=True):
        write_split(dataset, path, split)
    return paths


def load(
    path: str | os.PathLike[str] | None,
    *,
    image_size: int,
    fit: Fit | None = None,
    progress: Progress | None = None,
) -> DatasetSplits:
    """Read a folder that `write_rendered_signs` wrote, or draw 1080 and 120 images if there is no path."""
    if path is None:
        return fit_arrays(DatasetSplits(*rendered_signs(image_size=image_size)), image_size, fit or DEFAULT_FIT)
    return load_dataset(path, image_size=image_size, fit=fit, progress=progress)


def _draw(split: str, count: int, image_size: int, seed: int) -> Dataset:
    stream = seed, _SPLIT_NUMBERS[split]
    # The label of image k must not depend on how many follow, hence a shuffle for every six. A fourth number in the
    # key makes it differ from an image's own (a zero would not: NumPy pads short keys with zeros).
    sixes = [np.random.default_rng((*stream, k, 1)).permutation(len(GESTURES)) for k in range(0, count, len(GESTURES))]
    labels = np.concatenate(sixes)[:count].astype(np.int64)
    images = [_draw_sign(np.random.default_rng((*stream, k)), str(label), image_size) for k, label in enumerate(labels)]
    return Dataset(
        images=np.stack(images),
        labels=labels,
        class_names=tuple(GESTURES),
        paths=tuple(f"{DATASET} {split} #{k} (seed {seed})" for k in range(count)),
        name=DATASET,
    )


def _draw_sign(rng: Generator, sign: str, image_size: int) -> np.ndarray:
    gestures = list(GESTURES[sign])
    raised = gestures[rng.choice(len(gestures), p=list(GESTURES[sign].values()))]
    return draw_hand(rng, raised, image_size=image_size)
