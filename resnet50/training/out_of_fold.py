"""Out-of-fold predictions: each image is predicted by a linear head that was fitted without its fold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import softmax
from threadpoolctl import threadpool_limits

from resnet50._io.fetch import Progress
from resnet50.training.linear_probe import LabeledFeatures, fit_linear_heads
from resnet50.training.phases import LinearProbe

_SMALLEST = 1e-12  # a probability of 0 would make the loss of a value of C infinite


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """Predictions of heads that have not seen the images.

    Attributes:
        probabilities: float32 ``(n, classes)``, 0..1, rows summing to 1.
        c_values: The ``C`` of each fold's head.
    """

    probabilities: np.ndarray
    c_values: tuple[float, ...]


def predict_out_of_fold(
    probe: LinearProbe,
    images: LabeledFeatures,
    folds: np.ndarray,
    *,
    classes: int,
    progress: Progress | None = None,
) -> OutOfFold:
    """Fit a linear head without each fold in turn, and predict the fold with it.

    The ``C`` of a fold's head has the lowest out-of-fold loss over the images of all other folds: the labels of a fold
    do not choose the head that predicts it.

    Args:
        probe: The values of ``C`` to choose from.
        images: All images. Heads are fitted to all their versions, and predict the images themselves.
        folds: Fold of each image, ``(n,)``, from 0.
        classes: Number of classes.
        progress: Called after each fold with the number done and their total.
    """
    features, labels, weights = images.features, images.labels, images.weights
    count = int(folds.max()) + 1
    predicted = np.empty((len(probe.c_values), len(labels), classes), np.float32)
    for fold in range(count):
        held_out = folds == fold
        rest = [np.asarray(version)[~held_out] for version in features]
        train = LabeledFeatures(rest, labels[~held_out], None if weights is None else weights[~held_out])
        rows = np.asarray(features[0])[held_out]
        with threadpool_limits(1):  # of matrices as small as these, two threads wait for each other
            for number, head in enumerate(fit_linear_heads(probe, train, None, classes=classes)):
                predicted[number, held_out] = softmax(rows @ head.kernel + head.bias, axis=1)
        if progress:
            progress(fold + 1, count)
    losses = -np.log(np.maximum(predicted[:, np.arange(len(labels)), labels], _SMALLEST))
    of_fold = np.stack([losses[:, folds == fold].sum(axis=1, dtype=np.float64) for fold in range(count)])
    chosen = (of_fold.sum(axis=0) - of_fold).argmin(axis=1)
    probabilities = predicted[chosen[folds], np.arange(len(labels))]
    return OutOfFold(probabilities, tuple(probe.c_values[number] for number in chosen))
