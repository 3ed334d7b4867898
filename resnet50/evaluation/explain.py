"""Where on an image a classifier finds the evidence for its most probable classes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
from PIL import Image

from resnet50._io.files import atomic_path
from resnet50.data.images import ImageLike, fit_image
from resnet50.inference.classifier import Classifier
from resnet50.metrics.heat_map import heat_maps
from resnet50.plots.heat import overlay, side_by_side

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

    def save(self, path: str | os.PathLike[str]) -> bool:
        """Write the image and its maps in a row as PNG, atomically.

        Args:
            path: Name of the file.

        Returns:
            Whether the figure has captions: classes and probabilities, which matplotlib writes where it is installed.
        """
        if find_spec("matplotlib") is None:
            panels = [self.image, *(overlay(self.image, heat) for heat in self.heats)]
            with atomic_path(path) as temporary:
                Image.fromarray(side_by_side(panels)).save(temporary, format="PNG")
            return False
        from resnet50.plots.explain import draw_explanation
        from resnet50.plots.save import save_figure

        save_figure(draw_explanation(self.image, self.heats, self.class_names, self.probabilities), path)
        return True


def explain(classifier: Classifier, image: ImageLike, *, top: int = 3) -> Explanation:
    """Compute Grad-CAM maps for the most probable classes of an image.

    Args:
        classifier: A classifier; not an export.
        image: Path, encoded bytes, open binary file, Pillow image or pixels, as for `Classifier.predict`.
        top: Number of classes, at least 1.

    Returns:
        The image, the classes and their maps; `Explanation.save` draws them.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read, ``top`` is not positive, or the network has no feature maps.
    """
    if top < 1:
        raise ValueError(f"expected top to be at least 1, got {top}.")
    if not isinstance(image, np.ndarray) and hasattr(image, "read"):
        image = image.read()  # it is decoded twice
    height, width = classifier.image_size
    pixels = fit_image(image, height=height, width=width, fit=classifier.fit)
    (probabilities,) = classifier.probabilities(pixels[None])
    best = np.argsort(-probabilities, kind="stable")[:top]
    heats = heat_maps(classifier, np.repeat(pixels[None], len(best), axis=0), best)
    times = max(1, -(-_SHOWN // max(height, width)))  # a whole multiple is cut from the file in the same shape
    return Explanation(
        image=fit_image(image, height=height * times, width=width * times, fit=classifier.fit),
        class_names=tuple(classifier.class_names[k] for k in best),
        probabilities=tuple(probabilities[best].tolist()),
        heats=heats,
    )
