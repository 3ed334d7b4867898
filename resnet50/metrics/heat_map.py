"""Heat maps: where on an image a classifier finds the evidence for a class."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np

from resnet50.graph.geometry import FeatureMap, ReceptiveField
from resnet50.inference.classifier import Classifier
from resnet50.inference.runtimes import Network


@dataclass(frozen=True, eq=False)
class HeatMaps:
    """The heat map of a class for each of some images.

    Attributes:
        values: Float32 ``(n, height, width)``, 0..1, the maximum of each map 1 if there is any evidence.
        feature_map: The feature map that they show, which says how coarse they are.
    """

    values: np.ndarray
    feature_map: FeatureMap


def heat_maps(
    classifier: Classifier, images: np.ndarray, classes: np.ndarray, *, at: str | None = None, batch_size: int = 8
) -> HeatMaps:
    """Compute the Grad-CAM map of a class for each image.

    Behind a global average pooling and a linear head, the gradient of a score is the same at all positions, so that the
    map of a class ``c`` is ``relu(sum_k W[k, c] A_k)`` for the channels ``A_k`` of the last feature map. That is an
    output of the compiled network (`resnet50.graph.onnx_graph`). Earlier feature maps and other heads need gradients,
    and those Keras (`resnet50.metrics.grad_cam`).

    Args:
        classifier: A classifier; not an export.
        images: RGB ``(n, height, width, 3)``, 0..255, of its size.
        classes: A class for each image, int ``(n,)``.
        at: Name of the layer whose output is the feature map; None for the last one of which four cells fit beside each
            other on the image.
        batch_size: Images in one forward pass.

    Warns:
        UserWarning: If the last feature map is shown although it is coarser than that, since Keras is not installed.

    Raises:
        ValueError: If there is not one class of the classifier for each image, the classifier is an export, or its
            network has no such feature map.

    Source: Zhou et al. 2016, arXiv:1512.04150, equation 2; Selvaraju et al. 2017, arXiv:1610.02391, section 3.1, where
    Grad-CAM is shown to generalize it.
    """
    last = _compiled_map(classifier, at)
    if last is None:
        from resnet50.metrics.grad_cam import explained_map, grad_cam

        feature_map = explained_map(classifier.model, classifier.image_size, at=at)
        heats = grad_cam(classifier.model, images, classes, at=feature_map.layer, batch_size=batch_size)
        return HeatMaps(heats, feature_map)
    check_classes(classes, len(images), len(classifier.class_names))
    heats = np.zeros(images.shape[:3], np.float32)
    for start in range(0, len(images), batch_size):
        maps = classifier.network.outputs["class_activation_maps"].predict_on_batch(images[start : start + batch_size])
        for k, (of_classes, chosen) in enumerate(zip(maps, classes[start : start + batch_size], strict=True), start):
            heats[k] = place(of_classes[chosen], last.field, heats[k].shape)
    return HeatMaps(heats, last)


def _compiled_map(classifier: Classifier, at: str | None) -> FeatureMap | None:
    """Return the last feature map where the compiled network answers with its maps; None where Keras is needed."""
    last = classifier.network.feature_map if isinstance(classifier.network, Network) else None
    if last is None or at is not None:
        return last if last is not None and last.layer == at else None
    if last.resolves(classifier.image_size):
        return last
    if find_spec("keras") or last.cells == (1, 1):
        return None
    warnings.warn(
        f"expected Keras to compute a finer heat map than that of {last}, got none installed; install Keras for it.",
        stacklevel=3,
    )
    return last


def check_classes(classes: np.ndarray, images: int, count: int) -> None:
    """Refuse classes to explain unless they are integers in 0..count - 1, one for each image.

    Raises:
        ValueError: If they are not.
    """
    if classes.shape != (images,) or classes.dtype.kind not in "iu":
        raise ValueError(
            f"expected a class for each of {images} images, integers of shape ({images},), got "
            f"{classes.dtype} {classes.shape}."
        )
    if len(classes) and not 0 <= classes.min() <= classes.max() < count:
        raise ValueError(f"expected classes in 0..{count - 1}, got {classes.min()}..{classes.max()}.")


def place(heat: np.ndarray, field: ReceptiveField, shape: tuple[int, int]) -> np.ndarray:
    """Draw the cells of a feature map where they are centered on the image.

    Args:
        heat: A number of 0 or more for each cell, ``(h, w)``.
        field: Where the cells are.
        shape: (height, width) of the image in pixels.

    Returns:
        Float32 ``(height, width)``: interpolated between the centers (bilinear), constant beyond the outermost ones,
        and scaled so that the maximum is 1 if there is any heat.
    """
    down, across = (
        _interpolation(cells, first, jump, length)
        for cells, first, jump, length in zip(heat.shape, field.center, field.jump, shape, strict=True)
    )
    placed = down @ heat @ across.T
    return (placed / (placed.max() or 1)).astype(np.float32)


def _interpolation(cells: int, first: float, jump: int, length: int) -> np.ndarray:
    """Return the weight of each cell at each pixel, ``(length, cells)``; each row sums to 1."""
    centers = first + jump * np.arange(cells)
    return np.stack([np.interp(np.arange(length), centers, cell) for cell in np.eye(cells)], axis=1)
