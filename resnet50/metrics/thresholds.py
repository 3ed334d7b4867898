"""Fit the thresholds of a classifier: a temperature first, then prediction sets on its output, and refusal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from resnet50.metrics.calibration import cross_validated, find_temperature
from resnet50.uncertainty.scaling import Temperature, scale
from resnet50.uncertainty.thresholds import Thresholds, reference_features, right_scores


@dataclass(frozen=True, eq=False)
class OwnImages:
    """Images that a classifier has not learned from, like those to come.

    Attributes:
        probabilities: As the classifier gives them, float ``(n, classes)``, 0..1.
        labels: Their classes, int ``(n,)``.
        distances: To the nearest reference images (`resnet50.uncertainty.distance.nearest_distances`), float ``(k,)``;
            None where the classifier has no features.
    """

    probabilities: np.ndarray
    labels: np.ndarray
    distances: np.ndarray | None = None


def fit_thresholds(
    own: OwnImages,
    *,
    fitted_on: str,
    features: np.ndarray | None = None,
    temperature: Temperature | None = None,
    method: str = "lac",
) -> Thresholds:
    """Fit thresholds.

    Args:
        own: The images to fit them on.
        fitted_on: Which ones they are, one of `resnet50.uncertainty.thresholds.FITTED_ON`.
        features: Features of the training images, float ``(m, d)``, which are stored with the thresholds; None where
            the classifier has none.
        temperature: A temperature that was fitted on other images. None to fit one on these: the score of an image is
            then made with the temperature that fits the images of other folds.
        method: Score of a class, one of `resnet50.uncertainty.conformal.METHODS`.

    Raises:
        ValueError: If there are no images.
    """
    if not len(own.labels):
        raise ValueError("expected images to fit thresholds on, got none.")
    labels = np.asarray(own.labels, np.int64)
    if temperature is not None:
        scaled = scale(own.probabilities, temperature.value)
    else:
        temperature = find_temperature(own.probabilities, labels)
        scaled = own.probabilities if temperature.reason else cross_validated(own.probabilities, labels)
    known = features is not None and own.distances is not None
    return Thresholds(
        temperature,
        method,
        scores=right_scores(scaled, labels, method),
        labels=labels,
        distances=np.asarray(own.distances if known else [], np.float32),
        features=reference_features(features) if known and features is not None else np.zeros((0, 0), np.float16),
        fitted_on=fitted_on,
    )
