"""The images that a model was trained on, read again from the place that its run recorded."""

from __future__ import annotations

from resnet50._io.fetch import Progress
from resnet50.data.fit import Fit
from resnet50.data.splits import DatasetSplits
from resnet50.datasets import DATASETS
from resnet50.datasets.source import DataSource
from resnet50.inference.classifier import Classifier
from resnet50.training.record import RunRecord


def recorded_source(task: object, record: RunRecord | None) -> DataSource | None:
    """Return where a model's training images are.

    Args:
        task: Name of the recipe that the model was trained by.
        record: Record of its run, if there is one.

    Returns:
        The source that the run recorded, or the usual place of the task's dataset; None where neither is known.
    """
    if record is not None and record.source is not None:
        return record.source
    return DataSource(str(task)) if task in DATASETS else None


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
    name: object, classifier: Classifier, record: RunRecord | None, *, progress: Progress | None = None
) -> DatasetSplits:
    """Read the images that a classifier was trained on, with the other splits of their dataset.

    Args:
        name: The classifier's file or name, for messages.
        classifier: The classifier.
        record: Record of its run, if there is one.
        progress: Called while images are decoded.

    Returns:
        The splits; the fingerprint of ``train`` is the classifier's.

    Raises:
        FileNotFoundError: If they are not there.
        ValueError: If their place is not known, or they have changed since.
    """
    task = classifier.recipe.get("name")
    source = recorded_source(task, record)
    if source is None:
        raise ValueError(
            f"{name}: expected a model of a task, one of {', '.join(DATASETS)}, got {str(task)!r}; give the images "
            "(--data)."
        )
    splits = load_recorded(source, classifier.image_size[0], fit=classifier.fit, progress=progress)
    if splits["train"].fingerprint != classifier.fingerprint:
        raise ValueError(
            f"{name}: expected the images that it was trained on, found others (their SHA-256 differs), some of which "
            "may be in the test split; give the images (--data)."
        )
    return splits
