"""The choice of the images that a classifier is scored on, so that it has learned from none of them."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from resnet50._io.fetch import Progress
from resnet50.audit.issue import Issue
from resnet50.audit.training_images import copies, read_training_images
from resnet50.data.dataset import Dataset
from resnet50.data.loading import read_splits
from resnet50.data.options import DEFAULT_OPTIONS, ReadOptions
from resnet50.data.splits import DatasetSplits
from resnet50.datasets.source import DataSource
from resnet50.evaluation.score_issues import changed_test_issue, unknown_class_issue, unknown_training_issue
from resnet50.inference.classifier import Classifier
from resnet50.inference.recorded_images import load_training_images, training_source
from resnet50.training.run import RunDirectory

if TYPE_CHECKING:
    from resnet50.training.run import RunRecord

Source = str | os.PathLike[str] | DataSource

_NAMED = 10  # classes that an error names
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ScoredImages:
    """The images of an evaluation.

    Attributes:
        test: Images to score.
        train: Images that the classifier learned from; None where they are not known.
        validation: Images that its run held out, on which a temperature is fitted; None where there are none.
        audited: Splits that the audit checks.
        source: Where they are; None where that is not known.
        issues: Issues that make the score unreliable.
    """

    test: Dataset
    train: Dataset | None
    validation: Dataset | None
    audited: DatasetSplits
    source: DataSource | None
    issues: tuple[Issue, ...]

    @property
    def splits(self) -> DatasetSplits:
        """The images by split, with the folder that their paths start from."""
        return DatasetSplits(self.train, self.test, self.validation, root=self.audited.root)


@dataclass(frozen=True)
class Trained:
    """A classifier, with its run if it has one.

    Attributes:
        path: Its file, or the folder of its export.
        classifier: The classifier.
        run: Its run; None for a model outside of one.
        record: Record of the run; None where there is no run.
    """

    path: Path
    classifier: Classifier
    run: RunDirectory | None
    record: RunRecord | None

    @property
    def recorded(self) -> DataSource | None:
        """Where its run recorded that its images are; None where it did not."""
        return None if self.record is None else self.record.source

    @property
    def image_size(self) -> int:
        """Height and width in pixels at which a source is read for the classifier."""
        return self.classifier.image_size[0]


def find_scored_images(
    trained: Trained, source: Source | None, options: ReadOptions | None, progress: Progress | None
) -> ScoredImages:
    """Choose the images to score: never those that the classifier learned from, as far as they are known.

    Args:
        trained: The classifier.
        source: Place of the images; None for the dataset of the training.
        options: How a path is read; an option at its default is as in the training.
        progress: Called while images are decoded.

    Returns:
        The test split, if the source has one or is the dataset of the training; else the validation split, or all
        images.

    Raises:
        FileNotFoundError: If the images are not there.
        ValueError: If they cannot be read, none is of a class that the classifier knows, or they are not known.
    """
    _log.info("reading images")
    if source is None:
        splits = load_training_images(trained.path, trained.classifier, trained.recorded, progress=progress)
        return _from_training_dataset(trained, splits, _training_source(trained))
    moved = _moved_source(trained, source, options)
    training_dataset = _read_as_training_did(trained, moved, progress)
    if training_dataset is not None:
        return _from_training_dataset(trained, training_dataset, moved)
    return _from_other_images(trained, _as_source(source, options), progress)


def _from_training_dataset(trained: Trained, splits: DatasetSplits, source: DataSource | None) -> ScoredImages:
    """Score the test split of the dataset that the classifier was trained on."""
    test, run, record = splits["test"], trained.run, trained.record
    if run is None or record is None:
        return ScoredImages(test, splits.train, splits.validation, splits, source, ())
    held_out = splits.hold_out(record.recipe.validation_split, seed=record.recipe.seed)
    changed = test.fingerprint != record.fingerprints.get("test")
    issues = (changed_test_issue(len(test), run),) if changed else ()
    return ScoredImages(test, held_out.train, held_out.validation, splits, source, issues)


def _from_other_images(trained: Trained, source: DataSource, progress: Progress | None) -> ScoredImages:
    """Score images of another source, and report copies of the run's training images."""
    if source.options.test_split != DEFAULT_OPTIONS.test_split:
        raise ValueError(
            f"{source.path}: expected the test split of the training, got another --test-split, "
            f"{source.options.test_split:g}, which may hold training images; leave it out to score all images."
        )
    splits = _read_other_images(source, trained, progress)
    name = next(name for name in ("test", "validation", "train") if name in splits.by_name)
    test, issues = _with_classes_of(trained.classifier, splits[name], source)
    if trained.run is not None and trained.run.images.is_file():
        issues += copies(test, read_training_images(trained.run.images))
    elif name != "test":
        issues += [unknown_training_issue(len(test), source.path or source.task)]
    audited = DatasetSplits(test=test, unreadable=splits.unreadable, left_out=splits.left_out, root=splits.root)
    return ScoredImages(test, None, None, audited, source, tuple(issues))


def _training_source(trained: Trained) -> DataSource | None:
    return training_source(trained.classifier.recipe.get("name"), trained.recorded)


def _moved_source(trained: Trained, source: Source, options: ReadOptions | None) -> DataSource | None:
    """Return a source as one to read as the training read its own; None where that is not known."""
    recorded = _training_source(trained)
    if isinstance(source, DataSource) or recorded is None:
        return source if isinstance(source, DataSource) else None
    with suppress(ValueError):  # options that its dataset does not take
        chosen = replace(recorded.options, **_as_source(source, options).changed_options)
        return replace(recorded, path=str(Path(source).absolute()), options=chosen)
    return None


def _read_as_training_did(
    trained: Trained, source: DataSource | None, progress: Progress | None
) -> DatasetSplits | None:
    """Read a source; return None if it does not hold the training's images."""
    if source is None:
        return None
    with suppress(ValueError, FileNotFoundError):
        splits = source.load(trained.image_size, fit=trained.classifier.fit, progress=progress)
        if splits["train"].fingerprint == trained.classifier.fingerprint:
            return splits
    return None


def _as_source(source: Source, options: ReadOptions | None) -> DataSource:
    return source if isinstance(source, DataSource) else DataSource("folder", str(source), options or DEFAULT_OPTIONS)


def _read_other_images(source: DataSource, trained: Trained, progress: Progress | None) -> DatasetSplits:
    """Read the splits that a source has; no test split is cut off a folder that has none."""
    size, fit = trained.image_size, trained.classifier.fit
    if source.task != "folder" or source.path is None:
        return source.load(size, fit=fit, progress=progress)
    splits = read_splits(
        source.path, image_size=size, fit=fit, options=source.options, for_training=False, progress=progress
    )
    if fit.value_range is None and splits.fit.value_range is not None:  # measured here: prediction has no such range
        raise ValueError(
            f"{source.path}: expected images of 8 bits a channel, as those that {trained.path} was trained on, got "
            "images of more; convert them to 8 bits."
        )
    return splits


def _with_classes_of(classifier: Classifier, dataset: Dataset, source: DataSource) -> tuple[Dataset, list[Issue]]:
    """Return the images of the classifier's classes, with its labels, and an issue on images of other classes, if any.

    Raises:
        ValueError: If there is no image of a class that the classifier knows.
    """
    known = {name: index for index, name in enumerate(classifier.class_names)}
    labels = np.array([known.get(name, -1) for name in dataset.class_names], dtype=np.int64)[dataset.labels]
    unknown = labels < 0
    if unknown.all():
        raise ValueError(
            f"{source.path}: expected images of the classes {_first(classifier.class_names)}, got "
            f"{_first(dataset.class_names)}."
        )
    issues = [unknown_class_issue(dataset, unknown)] if unknown.any() else []
    chosen = dataset.select(np.flatnonzero(~unknown)) if unknown.any() else dataset
    return replace(chosen, labels=labels[~unknown], class_names=classifier.class_names), issues


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")
