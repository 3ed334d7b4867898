"""The probabilities that a report is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from resnet50.data.dataset import Dataset
from resnet50.inference.classifier import Classifier
from resnet50.metrics.scores import FeatureScoring


@dataclass(frozen=True, eq=False)
class Scored:
    """Predicted probabilities of the images of a report.

    Attributes:
        probabilities: For ``"test"`` and, where there is one, ``"validation"``, float32 ``(n, classes)``, 0..1.
        from_features: How they were computed from features; None where the float32 model computed them.
        distances: Of the test images to the nearest training images, float32 ``(n,)``; None without thresholds, or
            features to compare.
    """

    probabilities: Mapping[str, np.ndarray]
    from_features: FeatureScoring | None = None
    distances: np.ndarray | None = None


def scored(classifier: Classifier, datasets: Mapping[str, Dataset]) -> Scored:
    """Classify images by the whole network.

    Args:
        classifier: The classifier.
        datasets: Images by name, ``"test"`` among them.
    """
    examined = {name: classifier.examine(each.images) for name, each in datasets.items()}  # by one compiled network
    probabilities = {name: each for name, (each, _) in examined.items()}
    return Scored(probabilities, distances=examined["test"][1])
