"""Checks before a training: whether images fit the recipe, and whether a run can be resumed here."""

from __future__ import annotations

import warnings

import keras
import numpy as np

from resnet50._io.text import listed, plural
from resnet50.data.dataset import Dataset
from resnet50.data.splits import DatasetSplits
from resnet50.training.environment import describe_environment
from resnet50.training.recipe import Recipe
from resnet50.training.record import RunRecord
from resnet50.training.run import RunDirectory


def check_fit(recipe: Recipe, splits: DatasetSplits) -> None:
    """Refuse images that were fitted in another way than the recipe asks for.

    Raises:
        ValueError: If they were.
    """
    if recipe.fit is not None and not recipe.fit.asks_for(splits.fit):
        raise ValueError(
            f"{splits['train'].name}: expected images that are fitted by {recipe.fit}, as the recipe says, got "
            f"{splits.fit}; load them with the recipe's fit, or leave it out of the recipe."
        )


def check_image_size(recipe: Recipe, dataset: Dataset) -> None:
    """Refuse images of another size than the recipe's.

    Raises:
        ValueError: If the size differs.
    """
    height, width = dataset.images.shape[1:3]
    if (height, width) != (recipe.image_size, recipe.image_size):
        raise ValueError(
            f"{dataset.name}: expected images of {recipe.image_size} x {recipe.image_size} pixels for the recipe "
            f"{recipe.name}, got {width} x {height}; set image_size to their size."
        )


def check_splits(recipe: Recipe, splits: DatasetSplits) -> None:
    """Refuse splits that the recipe cannot be trained and scored on.

    Raises:
        ValueError: If the train or the test split is missing, a split is empty, a class has no training images, or
            sizes, classes or
            the fit of the images are not the same.
    """
    check_fit(recipe, splits)
    train = splits["train"]
    classes = train.class_names
    for name, dataset in {**splits.by_name, "test": splits["test"]}.items():
        check_image_size(recipe, dataset)
        if not len(dataset):
            raise ValueError(f"{dataset.name}: expected images in the {name} split, got none; add some.")
        if dataset.class_names != classes:
            raise ValueError(
                f"{dataset.name}: expected the classes of the train split in the {name} split "
                f"({listed(classes, most=10)}), got {listed(dataset.class_names, most=10)}; give both the same "
                "classes in the same order."
            )
    counts = np.bincount(train.labels, minlength=len(classes))
    if absent := [classes[label] for label in np.flatnonzero(counts == 0)]:
        unreadable = (
            f"; {plural(len(splits.unreadable), 'file')} of the source cannot be read" if splits.unreadable else ""
        )
        raise ValueError(
            f"{train.name}: expected training images of every class, got none of {listed(absent)}{unreadable}; add "
            "images, or remove the class."
        )


def check_resumable(run: RunDirectory, record: RunRecord, splits: DatasetSplits) -> None:
    """Refuse to resume a run with other images or on another backend; warn of other versions or another machine.

    Raises:
        ValueError: If the images or the backend are not those that the run was started with.
    """
    if fingerprints(splits) != record.fingerprints:
        raise ValueError(
            f"{run.path}: expected the images that the run was started with, got others (their SHA-256 differs); "
            "resume with the same data."
        )
    if keras.backend.backend() != record.environment["backend"]:
        raise ValueError(
            f"{run.path}: expected the backend {record.environment['backend']} that the run was started with, got "
            f"{keras.backend.backend()}; set KERAS_BACKEND={record.environment['backend']}."
        )
    here, recorded = describe_environment(), record.environment
    same = {"versions": here["versions"] == recorded["versions"], "machine": here["machine"] == recorded["machine"]}
    if changed := [name for name, equal in same.items() if not equal]:
        warnings.warn(
            f"{run.path}: expected the {' and '.join(changed)} that the run was started with, got others; its weights "
            "may differ from those of an uninterrupted run.",
            stacklevel=3,
        )


def fingerprints(splits: DatasetSplits) -> dict[str, str]:
    """Return the SHA-256 of each split by its name."""
    return {name: dataset.fingerprint for name, dataset in splits.by_name.items()}
