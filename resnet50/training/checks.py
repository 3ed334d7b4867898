"""Checks before a training: whether images fit the recipe, and whether a run can be resumed here."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import keras

from resnet50._io.text import plural
from resnet50.audit.issue import Issue
from resnet50.data.dataset import Dataset
from resnet50.data.share import ALONE, Share
from resnet50.data.splits import DatasetSplits
from resnet50.training.environment import describe_environment
from resnet50.training.phases import Phase
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
            f"{splits['train'].name}: expected images with the fit of the recipe ({recipe.fit}), got "
            f"another one ({splits.fit}); load them with the recipe's fit, or leave it out of the recipe."
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
        ValueError: If the size or the fit of the images is not the recipe's, or as `DatasetSplits.check_trainable`.
    """
    check_fit(recipe, splits)
    for dataset in splits.by_name.values():
        check_image_size(recipe, dataset)
    splits.check_trainable()


def check_steps(recipe: Recipe, images: int, share: Share = ALONE) -> None:
    """Refuse a recipe whose phase would end before its optimizer has made a step, or whose batches cannot be divided.

    Args:
        recipe: The recipe.
        images: Number of images that are trained on.
        share: The devices that divide each batch.

    Raises:
        ValueError: If the phase has fewer batches than a step takes, or the devices do not divide the batches.
    """
    share.check(recipe.batch_size, images)
    wanted, images = recipe.gradient_accumulation_steps, images // share.devices * share.devices
    for phase in recipe.phases:
        batches = phase.epochs * -(-images // recipe.batch_size)
        if isinstance(phase, Phase) and batches < wanted:
            raise ValueError(
                f"expected gradient_accumulation_steps to be at most {batches}, the batches of a phase of "
                f"{plural(phase.epochs, 'epoch')} on {plural(images, 'image')}, got {wanted}; lower it, or the batch "
                "size."
            )


def check_flip(recipe: Recipe, dataset: Dataset, issues: Sequence[Issue]) -> None:
    """Refuse to mirror images by default where that turns one class into another.

    Raises:
        ValueError: If mirror images cross classes, and the recipe's ``flip`` is None: neither True nor False.
    """
    crossing = [issue for issue in issues if issue.kind == "mirrored-classes" and issue.severity == "warning"]
    if crossing and recipe.augmentation.flip is None:
        raise ValueError(
            f"{dataset.name}: expected a choice of flip, since mirroring turns one class into another, got none: "
            f"{crossing[0].summary} Set flip to False (--no-flip), or to True (--flip) to mirror images in spite of it."
        )


def check_resumable(run: RunDirectory, record: RunRecord, splits: DatasetSplits, devices: int = 1) -> None:
    """Refuse to resume a run with other images or on another backend; warn of other versions or another machine.

    Raises:
        ValueError: If the images or the backend are not those that the run was started with.
    """
    if fingerprints(splits) != record.fingerprints:
        corrections = splits.corrections.sha256 if splits.corrections is not None else None
        if corrections != record.corrections:
            raise ValueError(
                f"{run.path}: expected the corrections that the run was started with, got "
                f"{'others (their SHA-256 differs)' if corrections else 'none'}; restore that file, or start a new run."
            )
        raise ValueError(
            f"{run.path}: expected the images that the run was started with, got others (their SHA-256 differs); "
            "resume with the same data."
        )
    if keras.backend.backend() != record.environment["backend"]:
        raise ValueError(
            f"{run.path}: expected the backend {record.environment['backend']} that the run was started with, got "
            f"{keras.backend.backend()}; set KERAS_BACKEND={record.environment['backend']}."
        )
    here, recorded = describe_environment(devices), record.environment
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
