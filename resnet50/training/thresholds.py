"""Fit the thresholds of a trained classifier on images that chose nothing about it."""

from __future__ import annotations

import numpy as np

from resnet50._io.fetch import Progress
from resnet50.data.dataset import Dataset
from resnet50.data.splitting import assign_folds, cluster_numbers
from resnet50.inference.features import feature_model
from resnet50.metrics.calibration import find_temperature
from resnet50.metrics.thresholds import OwnImages, fit_thresholds
from resnet50.training.features import FrozenPart
from resnet50.training.fitting import Fitted, training_batches
from resnet50.training.held_out import chooses
from resnet50.training.linear_probe import LabeledFeatures
from resnet50.training.out_of_fold import predict_out_of_fold
from resnet50.training.phases import LinearProbe
from resnet50.training.preparation import PreparedRun
from resnet50.uncertainty.conformal import fewest_images
from resnet50.uncertainty.distance import nearest_distances
from resnet50.uncertainty.shares import COVERAGE
from resnet50.uncertainty.thresholds import MOST_REFERENCES, NEIGHBORS, Thresholds, spread_indices

FOLDS = 5
"""Folds of the training images; a linear head is fitted without each of them in turn."""

MOST_FEATURES = 8192
"""Most features of an image that are compared; the head ``flatten`` has 100,352."""


def find_thresholds(
    run: PreparedRun, fitted: Fitted, *, progress: Progress | None = None
) -> tuple[Thresholds | None, str]:
    """Fit the thresholds of a classifier.

    Where its head is a linear probe on a frozen network, they are fitted on its training images, out of fold; else on
    validation images that no choice was made by.

    Args:
        run: The run.
        fitted: What its training left.
        progress: Called with the folds that are done and their number.

    Returns:
        The thresholds, and ""; or None, and why there are none: a sentence.
    """
    train = run.splits["train"]
    if fitted.probe is not None and fitted.frozen is not None and fitted.frozen.is_here:
        try:
            folds = assign_folds(train, _near_duplicates(run), FOLDS, seed=run.record.recipe.seed)
        except ValueError as error:
            return None, str(error)
        return _out_of_fold(run, fitted.frozen, fitted.probe, folds, progress), ""
    if fitted.set_aside is None:
        return None, _too_few(run)
    return _held_out(run, fitted, fitted.set_aside), ""


def _too_few(run: PreparedRun) -> str:
    validation, needed = run.splits.validation, fewest_images(COVERAGE)
    found = 0 if validation is None else len(validation)
    if not found:
        return f"expected at least {needed} validation images, got none; hold some out by --validation-split."
    free = connected = ""
    if chooses(run.record.recipe):
        free = f" that no choice was made by, which is half of {2 * needed} or more"
        connected = " that groups or near-duplicates connect" if found >= 2 * needed else ""
    return (
        f"expected at least {needed} validation images{free}, got {found:,} in all{connected}; train on more images, "
        "or with a larger --validation-split."
    )


def _near_duplicates(run: PreparedRun) -> np.ndarray:
    return run.splits.near_duplicates.groups[: len(run.splits["train"])]


def _out_of_fold(
    run: PreparedRun, frozen: FrozenPart, probe: LinearProbe, folds: np.ndarray, progress: Progress | None
) -> Thresholds:
    """Fit thresholds on training images, each scored by a head that was fitted without its fold."""
    batches = training_batches(run.record.recipe, run.splits["train"], views=probe.views)
    versions = [np.asarray(frozen.features(batches, version)) for version in range(probe.views)]
    labels, classes = batches.dataset.labels, len(batches.dataset.class_names)
    images = LabeledFeatures(versions, labels, batches.image_weights)
    probabilities = predict_out_of_fold(probe, images, folds, classes=classes, progress=progress).probabilities
    together = cluster_numbers(batches.dataset, _near_duplicates(run))
    chosen = spread_indices(len(labels))
    features = versions[0][chosen]
    distances = nearest_distances(features, features, NEIGHBORS, groups=(together[chosen], together[chosen]))
    own = OwnImages(probabilities, labels, distances[np.isfinite(distances)])
    return fit_thresholds(own, fitted_on="out-of-fold", features=features)


def _held_out(run: PreparedRun, fitted: Fitted, set_aside: Dataset) -> Thresholds:
    """Fit thresholds on images that were held out and chose nothing."""
    classifier, temperature = fitted.classifier, None
    is_wide = feature_model(classifier.model).output_shape[-1] > MOST_FEATURES
    if fitted.chosen_by is not None:
        chosen_by = _spread(fitted.chosen_by)
        images = chosen_by.images
        probabilities = classifier.probabilities(images) if is_wide else classifier.answer(images)[0]
        temperature = find_temperature(probabilities, chosen_by.labels)
    set_aside = _spread(set_aside)
    if is_wide:
        own = OwnImages(classifier.probabilities(set_aside.images), set_aside.labels)
        return fit_thresholds(own, fitted_on="held-out", temperature=temperature)
    probabilities, held_out = classifier.answer(set_aside.images)
    _, features = classifier.answer(_spread(run.splits["train"]).images)
    own = OwnImages(probabilities, set_aside.labels, nearest_distances(held_out, features, NEIGHBORS))
    return fit_thresholds(own, fitted_on="held-out", features=features, temperature=temperature)


def _spread(dataset: Dataset) -> Dataset:
    """Return at most `MOST_REFERENCES` images, evenly spread over all."""
    return dataset if len(dataset) <= MOST_REFERENCES else dataset.select(spread_indices(len(dataset)))
