"""Features of a dataset by a frozen network with pretrained weights, from the cache where they are stored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from resnet50._io.fetch import Progress
from resnet50._io.text import listed
from resnet50.data.batches import Batches
from resnet50.data.dataset import Dataset
from resnet50.training.environment import describe_environment
from resnet50.training.fast_cpu.precision import resolve_precision
from resnet50.training.features import FrozenPart, boundary
from resnet50.training.network import build_network
from resnet50.training.phases import LinearProbe
from resnet50.training.preparation import describe_weights
from resnet50.training.recipe import Recipe
from resnet50.weights.read import WeightsFile
from resnet50.weights.registry import REGISTRY
from resnet50.weights.transfer import load_weights


def frozen_features(
    recipe: Recipe, weights: WeightsFile, dataset: Dataset, *, progress: Progress | None = None
) -> np.ndarray:
    """Return the features below the linear head, by the network of a recipe with pretrained weights.

    Args:
        recipe: Image size, stem, stages and precision.
        weights: The pretrained weights.
        dataset: Images of the recipe's size.
        progress: Called with the images done and their number, unless the features are stored.

    Returns:
        float32 ``(n, d)``, read-only, in a file of the cache.

    Raises:
        ValueError: If the weights do not fit, or have no input normalization.
    """
    pretrained = describe_weights(weights, recipe)
    network = build_network(
        recipe.change(head="linear"),
        len(dataset.class_names),
        conventions=pretrained.conventions,
        normalization=pretrained.normalization,
    )
    load_weights(network, weights)
    part = FrozenPart(
        network,
        boundary(network, LinearProbe()),
        environment=describe_environment(),
        precision=resolve_precision(recipe.precision),
    )
    # without labels, so that features are still those of the images after a label has been corrected
    unlabeled = replace(dataset, labels=np.zeros_like(dataset.labels))
    return part.features(Batches(unlabeled, recipe.batch_size), progress=progress)


def check_backbone(weights: WeightsFile, dataset: Dataset) -> tuple[str, ...]:
    """Refuse a network that was trained on the labels that it is to predict.

    Args:
        weights: Its weights.
        dataset: The images, with their labels.

    Returns:
        Remarks for the reader: a sentence if the weights do not say what they were trained on.

    Raises:
        ValueError: If the weights are those of a classifier of these classes.
    """
    if weights.origin in REGISTRY:
        return ()
    name = Path(weights.origin).name
    if weights.class_names and set(dataset.class_names) <= set(weights.class_names):
        raise ValueError(
            f"{weights.origin}: expected a network that was not trained on these labels, got a classifier of "
            f"{listed(weights.class_names)}, whose features know them; give the weights that it was fine-tuned from."
        )
    return (
        f"{name} does not say which images its network was trained on; if these are among them with their labels, the "
        "accuracy is too high.",
    )
