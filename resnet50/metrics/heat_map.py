"""Heat maps: where on an image a classifier finds the evidence for a class."""

from __future__ import annotations

import numpy as np
from PIL import Image

from resnet50.inference.classifier import Classifier
from resnet50.inference.runtimes import Network


def heat_maps(classifier: Classifier, images: np.ndarray, classes: np.ndarray, *, batch_size: int = 32) -> np.ndarray:
    """Compute the Grad-CAM map of a class for each image.

    Behind a global average pooling and a linear head, the gradient of a score is the same at all positions, so that the
    map of a class ``c`` is ``relu(sum_k W[k, c] A_k)`` for the channels ``A_k`` of the last feature map. That is an
    output of the compiled network (`resnet50.graph.onnx_graph`). Other heads, and maps of one position, need gradients,
    and those Keras (`resnet50.metrics.grad_cam`).

    Args:
        classifier: A classifier; not an export.
        images: RGB ``(n, height, width, 3)``, 0..255, of its size.
        classes: A class for each image, int ``(n,)``.
        batch_size: Images in one forward pass.

    Returns:
        Float32 ``(n, height, width)``, 0..1, the maximum of each map 1 if there is any evidence.

    Raises:
        ValueError: If there is not one class of the classifier for each image, the classifier is an export, or its
            network has no feature maps.

    Source: Zhou et al. 2016, arXiv:1512.04150, equation 2; Selvaraju et al. 2017, arXiv:1610.02391, section 3.1, where
    Grad-CAM is shown to generalize it.
    """
    maps_of_all = _compiled_maps(classifier)
    if maps_of_all is None:
        from resnet50.metrics.grad_cam import grad_cam

        return grad_cam(classifier.model, images, classes, batch_size=batch_size)
    check_classes(classes, len(images), len(classifier.class_names))
    count, height, width, _ = images.shape
    heats = np.zeros((count, height, width), np.float32)
    for start in range(0, len(images), batch_size):
        maps = maps_of_all.predict_on_batch(images[start : start + batch_size])
        for k, (of_classes, chosen) in enumerate(zip(maps, classes[start : start + batch_size], strict=True), start):
            heats[k] = enlarge(of_classes[chosen], (height, width))
    return heats


def map_size(classifier: Classifier) -> tuple[int, int]:
    """Return the height and width in cells of the maps of `heat_maps`, before they are enlarged to the image.

    Args:
        classifier: A classifier; not an export.

    Raises:
        ValueError: If the classifier is an export, or its network has no feature maps.
    """
    maps_of_all = _compiled_maps(classifier)
    if maps_of_all is None:
        from resnet50.metrics.grad_cam import map_shape

        return map_shape(classifier.model)
    height, width = maps_of_all.output_shape[2:]
    return height, width


def _compiled_maps(classifier: Classifier) -> Network | None:
    """Return the output of the network that has the maps of all classes; None where they need gradients."""
    network = classifier.network
    maps = network.outputs.get("class_activation_maps") if isinstance(network, Network) else None
    return None if maps is None or maps.output_shape[2:] == (1, 1) else maps


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


def enlarge(heat: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return a map ``(h, w)``, float32, 0 or more, in another shape (bilinear), scaled so that its maximum is 1."""
    height, width = shape
    large = np.asarray(Image.fromarray(heat).resize((width, height), Image.Resampling.BILINEAR))
    return large / (large.max() or 1)
