"""Thresholds of an export of 8 bits, which answers a little differently from its original."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from resnet50.data.batches import Batches
from resnet50.data.dataset import Dataset
from resnet50.data.splitting import assign_folds, cluster_numbers
from resnet50.exporters.images import TrainingImages
from resnet50.inference.batching import forward_array
from resnet50.inference.classifier import Classifier
from resnet50.inference.runtimes import Network
from resnet50.metrics.thresholds import OwnImages, fit_thresholds
from resnet50.training.linear_probe import LabeledFeatures
from resnet50.training.out_of_fold import predict_out_of_fold
from resnet50.training.phases import LinearProbe
from resnet50.training.thresholds import FOLDS
from resnet50.uncertainty.distance import nearest_distances
from resnet50.uncertainty.thresholds import Thresholds, spread_indices

_BATCH = 32  # images in a forward pass


def own_thresholds(exported: Classifier, original: Thresholds, images: Dataset | TrainingImages) -> Thresholds | None:
    """Fit the thresholds of an export, on images that it was not calibrated on.

    Args:
        exported: The export.
        original: The thresholds of its original. The features that images are compared with stay those, in float.
        images: Held-out images that chose nothing; or, where the original's thresholds are out-of-fold, its training
            images. Heads are then fitted to the features that the export computes, as the original's were to its own.

    Returns:
        The thresholds; None where training images cannot be divided into folds, or the export has no features.
    """
    network, classes, features = exported.network, len(exported.class_names), None
    has_features = isinstance(network, Network) and network.with_features is not None
    if isinstance(images, TrainingImages):
        if not has_features:
            return None
        rows = forward_array(network.with_features, images.chosen.images, batch_size=_BATCH)
        return _out_of_fold(exported, original, images, rows[:, classes:])
    if has_features:
        rows = forward_array(network.with_features, images.images, batch_size=_BATCH)
        own = OwnImages(rows[:, :classes], images.labels, original.measure(rows[:, classes:]))
        features = original.features
    else:
        own = OwnImages(exported.probabilities(images.images), images.labels)
    return fit_thresholds(
        own, fitted_on="held-out", features=features, temperature=original.temperature, method=original.method
    )


def _out_of_fold(
    exported: Classifier, original: Thresholds, images: TrainingImages, features: np.ndarray
) -> Thresholds | None:
    """Fit thresholds on training images, each scored by a head that was fitted without its fold.

    Images that the export was calibrated on are learned from, and not scored.
    """
    recipe, chosen = exported.recipe, images.chosen
    groups = cluster_numbers(images.train, images.near_duplicates)
    try:
        folds = assign_folds(
            chosen, np.unique(groups[images.indices], return_inverse=True)[1], FOLDS, seed=recipe.get("seed", 0)
        )
    except ValueError:  # groups connect them, or a class has too few
        return None
    weights = Batches(chosen, _BATCH, balance=recipe.get("class_weight") == "balanced").image_weights
    labeled = LabeledFeatures([features], chosen.labels, weights)
    out_of_fold = predict_out_of_fold(_probe(recipe), labeled, folds, classes=len(exported.class_names))
    reference = spread_indices(len(groups))
    if len(reference) != len(original.features):  # those of other images
        return None
    compared = groups[reference], groups[images.indices]
    distances = nearest_distances(features, original.features, original.neighbors, groups=compared[::-1])
    scored = ~images.calibrated
    own = OwnImages(
        out_of_fold.probabilities[scored], chosen.labels[scored], distances[scored & np.isfinite(distances)]
    )
    thresholds = fit_thresholds(own, fitted_on="out-of-fold", features=original.features, method=original.method)
    # the logits of a calibrated classifier are divided by a temperature already, those of these heads are not
    return thresholds.divided(exported.metrics.get("temperature", 1.0))


def _probe(recipe: Mapping[str, Any]) -> LinearProbe:
    """Return the last linear probe of a recipe, as a classifier of any version stores it."""
    probes = [phase for phase in recipe.get("phases", ()) if "c_values" in phase]
    return LinearProbe(c_values=tuple(probes[-1]["c_values"])) if probes else LinearProbe()
