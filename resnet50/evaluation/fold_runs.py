"""A run for each fold of a cross-validation: started, resumed, or used as it is."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from resnet50._io.fetch import Progress
from resnet50.data.splits import DatasetSplits
from resnet50.inference.classifier import Classifier
from resnet50.metrics.cross_validation import Repetition
from resnet50.training.checks import fingerprints
from resnet50.training.progress import Progress as TrainingProgress
from resnet50.training.recipe import Recipe
from resnet50.training.run import RunDirectory
from resnet50.training.train import resume, train

_log = logging.getLogger(__name__)


def train_folds(
    recipe: Recipe,
    splits: DatasetSplits,
    cuts: Sequence[np.ndarray],
    seeds: Sequence[int],
    folder: Path,
    *,
    progress: Progress | None = None,
) -> Iterator[Repetition]:
    """Train a recipe without each fold in turn, and predict the fold with the classifier.

    Args:
        recipe: Every number of the trainings but the seed.
        splits: The images.
        cuts: Fold of each image, ``(n,)``, for each seed.
        seeds: The seeds.
        folder: Folder of the runs, ``seed-0-fold-1`` and so on.
        progress: Called with the epochs that are done and their number in all runs.

    Yields:
        The predictions for each seed.

    Raises:
        ValueError: If a run in the folder has another recipe or other images.
    """
    pooled, total = splits.pooled, sum(int(folds.max()) + 1 for folds in cuts)
    done = 0
    for seed, folds in zip(seeds, cuts, strict=True):
        probabilities = np.empty((len(pooled), len(pooled.class_names)), np.float32)
        for fold in range(int(folds.max()) + 1):
            held_out = np.flatnonzero(folds == fold)
            kept = pooled.select(np.flatnonzero(folds != fold))
            images = replace(splits, train=kept, test=pooled.select(held_out), validation=None)
            name = f"seed {seed}, fold {fold + 1} of {int(folds.max()) + 1}"
            directory = RunDirectory(folder / f"seed-{seed}-fold-{fold + 1}")
            if not directory.page.exists():
                _log.info("%s: training without it", name)
            shown = _CountedEpochs(progress, done * recipe.epochs, total * recipe.epochs)
            classifier = _classifier(recipe.change(seed=seed, fit=splits.fit), images, directory, shown)
            probabilities[held_out] = classifier.probabilities(images["test"].images)
            right = (probabilities[held_out].argmax(axis=1) == pooled.labels[held_out]).mean()
            _log.info("%s: accuracy %.1f%%", name, 100 * right)
            done += 1
        yield Repetition(seed, folds, probabilities)


def _classifier(
    recipe: Recipe, images: DatasetSplits, directory: RunDirectory, progress: TrainingProgress
) -> Classifier:
    """Return the classifier of a fold: that of its finished run, or trained now.

    It is the saved one in both cases, so that a command that was interrupted gives the same digits.
    """
    if not directory.recipe.exists():
        train(recipe, images, out=directory.path, progress=progress)
        return Classifier.load(directory.model)
    record = directory.read()
    if record.recipe != recipe or record.fingerprints != fingerprints(images):
        different = "recipe" if record.recipe != recipe else "images"
        raise ValueError(
            f"{directory.path}: expected a run of this fold by this recipe, got one with another {different}; choose "
            "another folder, or repeat the command that began it."
        )
    if not directory.page.exists():  # which a training writes last
        resume(directory.path, images, progress=progress)
    return Classifier.load(directory.model)


class _CountedEpochs(TrainingProgress):
    """Counts the epochs of all folds."""

    def __init__(self, progress: Progress | None, before: int, total: int) -> None:
        super().__init__()
        self.progress, self.before, self.total = progress, before, total

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if self.progress:
            self.progress(self.before + epoch + 1, self.total)

    @contextmanager
    def counted(self, step: str) -> Iterator[Progress]:
        _log.info(step)
        yield self.progress or (lambda done, total: None)
