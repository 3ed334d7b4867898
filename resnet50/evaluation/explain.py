"""Where on an image a classifier finds the evidence for its most probable classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from resnet50.data.images import ImageLike, fit_image
from resnet50.inference.classifier import Classifier

_SHOWN = 448  # pixels: smaller images are enlarged to this size or a little more


@dataclass(frozen=True, eq=False)
class Explanation:
    """The evidence for the most probable classes of an image.

    Attributes:
        image: The image as the classifier sees it, enlarged; RGB uint8 ``(height, width, 3)``.
        class_names: The most probable classes, best first.
        probabilities: Their probabilities, 0..1.
        heats: A Grad-CAM map for each, float ``(classes, h, w)``, 0..1.
    """

    image: np.ndarray
    class_names: tuple[str, ...]
    probabilities: tuple[float, ...]
    heats: np.ndarray


def explain(classifier: Classifier, image: ImageLike, *, top: int = 3) -> Explanation:
    """Compute Grad-CAM maps for the most probable classes of an image.

    Args:
        classifier: A classifier of Keras layers.
        image: Path, encoded bytes, open binary file, Pillow image or pixels, as for `Classifier.predict`.
        top: Number of classes, at least 1.

    Returns:
        The image, the classes and their maps, which `resnet50.plots.explain.draw_explanation` draws.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read, ``top`` is not positive, or the network has no feature maps.
    """
    from resnet50.metrics.grad_cam import grad_cam  # it loads Keras

    if top < 1:
        raise ValueError(f"expected top to be at least 1, got {top}.")
    if not isinstance(image, np.ndarray) and hasattr(image, "read"):
        image = image.read()  # it is decoded twice
    height, width = classifier.image_size
    pixels = fit_image(image, height=height, width=width, fit=classifier.fit)
    (probabilities,) = classifier.probabilities(pixels[None])
    best = np.argsort(-probabilities, kind="stable")[:top]
    heats = grad_cam(classifier.model, np.repeat(pixels[None], len(best), axis=0), best)
    times = max(1, -(-_SHOWN // max(height, width)))  # a whole multiple is cut from the file in the same shape
    return Explanation(
        image=fit_image(image, height=height * times, width=width * times, fit=classifier.fit),
        class_names=tuple(classifier.class_names[k] for k in best),
        probabilities=tuple(probabilities[best].tolist()),
        heats=heats,
    )
