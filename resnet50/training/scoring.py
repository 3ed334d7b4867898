"""Scoring after a training: from features, where the network below the head has not been trained."""

from __future__ import annotations

import keras
import numpy as np

from resnet50.data.batches import Batches
from resnet50.data.dataset import Dataset
from resnet50.data.splits import DatasetSplits
from resnet50.inference.classifier import Classifier
from resnet50.metrics.scores import FeatureScoring
from resnet50.reports.scored import Scored, scored
from resnet50.training.features import FrozenPart, upper_part

_BATCH = 64  # features of images

_EAGER = 4  # images; layer by layer, every output is kept until the last: 130 MB for an image of 224 pixels

COMPARED = 16
"""Test images, at most, whose probabilities from features are compared with those of the float32 model."""

FARTHEST = 0.1
"""Largest difference of a probability with which the probabilities from features are used."""


def score_splits(classifier: Classifier, frozen: FrozenPart | None, splits: DatasetSplits) -> Scored:
    """Classify the validation and test images.

    Args:
        classifier: The classifier.
        frozen: The part of its network that was not trained, whose features are stored for some of the images; None to
            run the whole float32 network.
        splits: The images.

    Returns:
        The probabilities by split. From features they are only used if they agree with the float32 network's.
    """
    datasets = {name: dataset for name, dataset in splits.by_name.items() if name != "train"}
    if frozen is not None and frozen.is_here:
        head = upper_part(classifier.model, frozen.name)
        features = {name: frozen.features(Batches(dataset, 1)) for name, dataset in datasets.items()}
        probabilities = {name: _classify(head, rows) for name, rows in features.items()}
        images = splits["test"].images[:COMPARED]
        whole = _classify(classifier.model, images, batch_size=_EAGER)
        difference = float(np.abs(probabilities["test"][: len(images)] - whole).max())
        if difference <= FARTHEST:
            distances = _distances(classifier, features["test"], splits["test"])
            return Scored(probabilities, FeatureScoring(frozen.precision, len(images), difference), distances)
    return scored(classifier, datasets)


def _distances(classifier: Classifier, features: np.ndarray, test: Dataset) -> np.ndarray | None:
    """Return the distances of the test images to the nearest training images, from their features where they serve."""
    thresholds = classifier.thresholds
    if thresholds is None or not thresholds.refuses:
        return None
    if thresholds.fitted_on == "out-of-fold":  # by these features
        return thresholds.measure(features)
    return classifier.examine(test.images)[1]


def _classify(network: keras.Model, inputs: np.ndarray, *, batch_size: int = _BATCH) -> np.ndarray:
    """Return a network's output, layer by layer, since to compile it would take longer."""
    batches = (inputs[start : start + batch_size] for start in range(0, len(inputs), batch_size))
    outputs = [network(np.asarray(batch, np.float32), training=False) for batch in batches]
    return np.concatenate([keras.ops.convert_to_numpy(output) for output in outputs])
