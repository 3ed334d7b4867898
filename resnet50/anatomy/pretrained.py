"""The classifier of pretrained weights as their publisher trained it, to be taken apart."""

from __future__ import annotations

from resnet50._io.text import listed
from resnet50.build import build_resnet50
from resnet50.inference.classifier import Classifier
from resnet50.model import TABLE_1
from resnet50.training.variants import usual_fit
from resnet50.weights.layouts import count_layers
from resnet50.weights.read import read_weights
from resnet50.weights.registry import REGISTRY, imagenet_classes, without_folder

_IMAGE_SIZE = 224  # pixels, for files that do not say


def open_pretrained(weights: str) -> Classifier:
    """Build the classifier of published weights, or of a file of weights.

    Args:
        weights: Name in `resnet50.weights.REGISTRY`, whose file is fetched if it is not cached; or a file that
            `resnet50.weights.read_weights` reads.

    Returns:
        The classifier, for images of its publisher's size, or of 224 pixels. Outputs have the names that the file
        gives; without names, 1,000 outputs are ImageNet's classes, and others are numbered.

    Raises:
        ValueError: If the network is no column of table 1, has no classifier or an unknown normalization, or the file
            cannot be read.
        FileNotFoundError: If there is no such file.
        DownloadError: If published weights cannot be fetched.
    """
    file, published = read_weights(weights), REGISTRY.get(weights)
    layers, head = count_layers(file.arrays), file.arrays.get("predictions")
    if layers is None or layers not in TABLE_1:
        known = listed([str(each) for each in TABLE_1])
        got = f"one of {layers}" if layers else "another network"
        raise ValueError(f"{weights}: expected a ResNet of {known} layers, got {got}; name others.")
    if head is None:
        raise ValueError(f"{weights}: expected weights with a classifier, got features alone; name others.")
    classes = head[0].shape[-1]
    names = file.class_names or (
        imagenet_classes() if classes == len(imagenet_classes()) else tuple(f"class {k}" for k in range(classes))
    )
    size = published.image_size if published else _IMAGE_SIZE
    model = build_resnet50(classes, input_shape=(size, size, 3), weights=file, stages=TABLE_1[layers])
    dataset = "ImageNet" if published else f"images that {without_folder(weights)} does not name"
    return Classifier(model, names, dataset, "", {}, {}, fit=usual_fit(weights))
