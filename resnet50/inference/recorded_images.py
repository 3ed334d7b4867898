"""The images that a model was trained on, read again from the place that its run recorded."""

from __future__ import annotations

import json
from pathlib import Path

from resnet50._io.fetch import Progress
from resnet50._io.limits import read_text
from resnet50.data.fit import Fit
from resnet50.data.splits import DatasetSplits
from resnet50.datasets import DATASETS
from resnet50.datasets.source import DataSource
from resnet50.inference.classifier import Classifier
from resnet50.inference.locate import ENVIRONMENT


def read_source(run: Path) -> DataSource | None:
    """Return the source that a run recorded; None where it recorded none.

    Args:
        run: Folder of the run.

    Raises:
        FileNotFoundError: If its record is not there.
        ValueError: If its record is damaged, or another version wrote it.
    """
    path = run / ENVIRONMENT
    try:
        source = json.loads(read_text(path))["data"]["source"]
        return None if source is None else DataSource.from_dict(source)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{path}: expected the place of the run's images, got other text ({reason}); give the images (--data)."
        ) from error


def training_source(task: object, recorded: DataSource | None) -> DataSource | None:
    """Return where a model's training images are.

    Args:
        task: Name of the recipe that the model was trained by.
        recorded: The source that its run recorded, if there is one.

    Returns:
        The recorded source, or the usual place of the task's dataset; None where neither is known.
    """
    return recorded or (DataSource(str(task)) if task in DATASETS else None)


def load_recorded(
    source: DataSource, image_size: int, *, fit: Fit | None, progress: Progress | None = None
) -> DatasetSplits:
    """Read images from the place that a run recorded.

    Args:
        source: The recorded source.
        image_size: Height and width in pixels.
        fit: How the images are fitted to it, as in the recipe that the run recorded.
        progress: Called while images are decoded.

    Returns:
        The splits.

    Raises:
        FileNotFoundError: If they are not there.
        ValueError: If they cannot be read.
    """
    try:
        return source.load(image_size, fit=fit, progress=progress)
    except FileNotFoundError as error:
        if source.path is None:
            raise
        raise FileNotFoundError(
            f"{error} The run had its images there; give their new place (--data, or splits in Python)."
        ) from error


def load_training_images(
    name: object, classifier: Classifier, recorded: DataSource | None, *, progress: Progress | None = None
) -> DatasetSplits:
    """Read the images that a classifier was trained on, with the other splits of their dataset.

    Args:
        name: The classifier's file or name, for messages.
        classifier: The classifier.
        recorded: The source that its run recorded, if there is one.
        progress: Called while images are decoded.

    Returns:
        The splits; the fingerprint of ``train`` is the classifier's.

    Raises:
        FileNotFoundError: If they are not there.
        ValueError: If their place is not known, or they have changed since.
    """
    task = classifier.recipe.get("name")
    source = training_source(task, recorded)
    if source is None:
        raise ValueError(
            f"{name}: expected a model of a task, one of {', '.join(DATASETS)}, got {str(task)!r}; give the images "
            "(--data)."
        )
    splits = load_recorded(source, classifier.image_size[0], fit=classifier.fit, progress=progress)
    if splits["train"].fingerprint != classifier.fingerprint:
        raise ValueError(
            f"{name}: expected the images that it was trained on, found others (the SHA-256 of their pixels differs, "
            "as it may where another version of Pillow decodes them), some of which may be in the test split; give the "
            "images (--data)."
        )
    return splits
