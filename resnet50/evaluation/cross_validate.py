"""Cross-validation: every image is predicted by a model that has not seen it.

Fast, on the features of a frozen network; or in full, with a run for each fold.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from resnet50._io.fetch import Progress
from resnet50._io.keras_settings import keras_defaults
from resnet50._io.quiet import without_retracing_warnings
from resnet50.data.dataset import Dataset
from resnet50.data.splits import DatasetSplits
from resnet50.data.splitting import FoldsError, assign_folds, cluster_numbers
from resnet50.evaluation.frozen_features import check_backbone, frozen_features
from resnet50.metrics.cross_validation import CrossValidation, Repetition
from resnet50.training.checks import check_fit, check_image_size
from resnet50.training.linear_probe import LabeledFeatures
from resnet50.training.out_of_fold import predict_out_of_fold
from resnet50.training.phases import LinearProbe
from resnet50.training.recipe import Recipe
from resnet50.weights.read import read_weights

_STRONGER = (0.001, 0.003)
"""Values of ``C`` beside the recipe's: where labels are wrong, a stronger regularization finds more of them."""

_log = logging.getLogger(__name__)


@keras_defaults()
@without_retracing_warnings()  # each fold has a network of its own
def cross_validate(
    recipe: Recipe,
    splits: DatasetSplits,
    *,
    folds: int = 5,
    seeds: Sequence[int] = (0,),
    runs: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> CrossValidation:
    """Predict every image by a model that has not seen it, and score these predictions.

    The images of all splits are pooled and cut into folds. Images of one group and near-duplicates are in one fold, and
    classes in proportion as far as that allows. Without ``runs``, the network of the pretrained weights is frozen, its
    features are computed once, and a linear head is fitted without each fold in turn, as in the recipe's linear probe
    on the images themselves; ``C`` is chosen by out-of-fold loss (`resnet50.training.out_of_fold`). That takes
    seconds after the features, and says what a linear probe reaches: fine-tuning may reach more.

    Args:
        recipe: Weights, image size and linear probe; with ``runs``, every number of the trainings.
        splits: Images of all splits, RGB uint8 ``(n, image_size, image_size, 3)``.
        folds: Number of folds, at least 2.
        seeds: A seed for each repetition, which determines the folds; with ``runs`` it is the seed of the recipe too.
        runs: Folder of a run for each fold, in which the whole recipe is trained. Runs that are there are resumed, or
            used as they are if they are finished. None fits linear heads on the features of the frozen network.
        progress: Called with the number done and the total, from the start again for each stage of the work.

    Returns:
        The predictions and their scores.

    Raises:
        FileNotFoundError: If there is no file of the pretrained weights.
        ValueError: If the images do not fit the recipe or cannot be cut into so many folds, the recipe has no
            pretrained weights or their network was trained on these labels, or runs in the folder are those of
            another recipe or other images.
    """
    _check(recipe, splits, seeds)
    _log.info("comparing images")
    near_duplicates = splits.find_near_duplicates(progress=progress).groups
    dataset = splits.pooled
    cuts = [assign_folds(dataset, near_duplicates, folds, seed=seed) for seed in seeds]
    clusters = cluster_numbers(dataset, near_duplicates)
    features: np.ndarray | None = None
    remarks: tuple[str, ...] = ()
    repetitions: Iterable[Repetition]
    if runs is None:
        features, remarks = _features(recipe, dataset, progress)
        repetitions = _fit_heads(recipe, dataset, features, cuts, seeds, progress)
    else:
        from resnet50.evaluation.fold_runs import train_folds  # it loads what draws reports

        repetitions = train_folds(recipe, splits, cuts, seeds, Path(runs), progress=progress)
    return CrossValidation(splits, dataset, clusters, tuple(repetitions), recipe.weights, features, remarks)


def _check(recipe: Recipe, splits: DatasetSplits, seeds: Sequence[int]) -> None:
    """Refuse images or seeds that nothing can be cross-validated with, before any work."""
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"expected at least one seed, each another one, got {list(seeds)}.")
    check_fit(recipe, splits)
    for dataset in splits.by_name.values():
        check_image_size(recipe, dataset)
    train = splits["train"]
    present = np.unique(np.concatenate([dataset.labels for dataset in splits.by_name.values()]))
    if len(present) < 2:
        got = f"one, {train.class_names[present[0]]}" if len(present) else "none"
        raise FoldsError(f"{train.name}: expected images of at least two classes, got {got}; add those of another.")


def _features(recipe: Recipe, dataset: Dataset, progress: Progress | None) -> tuple[np.ndarray, tuple[str, ...]]:
    if recipe.weights is None:
        raise ValueError(
            f"{recipe.name}: expected pretrained weights, whose features are used, got none; name some, or train the "
            "whole recipe for each fold (--full, runs in Python)."
        )
    weights = read_weights(recipe.weights)
    remarks = check_backbone(weights, dataset)
    _log.info("computing features")
    return frozen_features(recipe, weights, dataset, progress=progress), remarks


def _fit_heads(
    recipe: Recipe,
    dataset: Dataset,
    features: np.ndarray,
    cuts: Sequence[np.ndarray],
    seeds: Sequence[int],
    progress: Progress | None,
) -> Iterator[Repetition]:
    probe = next((phase for phase in recipe.phases if isinstance(phase, LinearProbe)), LinearProbe())
    probe = replace(probe, c_values=tuple(sorted({*_STRONGER, *probe.c_values})))
    weights, classes = None, len(dataset.class_names)
    if recipe.class_weight == "balanced":
        counts = np.maximum(np.bincount(dataset.labels, minlength=classes), 1)
        weights = (len(dataset) / (classes * counts))[dataset.labels]
    images = LabeledFeatures([features], dataset.labels, weights)
    for number, (seed, folds) in enumerate(zip(seeds, cuts, strict=True), start=1):
        _log.info("fitting linear heads" + (f", {number} of {len(seeds)}" if len(seeds) > 1 else ""))
        predicted = predict_out_of_fold(probe, images, folds, classes=classes, progress=progress)
        yield Repetition(seed, folds, predicted.probabilities, predicted.c_values)
