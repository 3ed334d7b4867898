"""Where on an image a classifier finds the evidence for its most probable classes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from resnet50._io.files import atomic_path
from resnet50.data.images import ImageLike, fit_image
from resnet50.graph.geometry import FeatureMap
from resnet50.inference.classifier import Classifier
from resnet50.metrics.heat_map import heat_maps
from resnet50.plots.heat import overlay, side_by_side

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SHOWN = 448  # pixels: smaller images are enlarged to this size or a little more


@dataclass(frozen=True, eq=False)
class Explanation:
    """The evidence for the most probable classes of an image.

    Attributes:
        image: The image as the classifier sees it, enlarged; RGB uint8 ``(height, width, 3)``.
        class_names: The most probable classes, best first.
        probabilities: Their probabilities, 0..1.
        heats: A Grad-CAM map for each, float ``(classes, h, w)``, 0..1, with a value for each pixel of the model's
            input.
        feature_map: The feature map that they show; ``str`` says how coarse it is.
    """

    image: np.ndarray
    class_names: tuple[str, ...]
    probabilities: tuple[float, ...]
    heats: np.ndarray
    feature_map: FeatureMap

    def draw(self) -> Figure:
        """Draw the image and its maps in a row, with the classes, their probabilities and how coarse the maps are.

        Raises:
            ImportError: If matplotlib is not installed.
        """
        from resnet50.plots.explain import draw_explanation

        return draw_explanation(
            self.image, self.heats, self.class_names, self.probabilities, note=f"Grad-CAM at {self.feature_map}"
        )

    def save(self, path: str | os.PathLike[str]) -> bool:
        """Write the image and its maps in a row as PNG, atomically.

        Args:
            path: Name of the file.

        Returns:
            Whether the figure has captions (`draw`), which matplotlib writes where it is installed.
        """
        if find_spec("matplotlib") is None:
            panels = [self.image, *(overlay(self.image, heat) for heat in self.heats)]
            with atomic_path(path) as temporary:
                Image.fromarray(side_by_side(panels)).save(temporary, format="PNG")
            return False
        from resnet50.plots.save import save_figure

        save_figure(self.draw(), path)
        return True


def explain(classifier: Classifier, image: ImageLike, *, top: int = 3, at: str | None = None) -> Explanation:
    """Compute Grad-CAM maps for the most probable classes of an image.

    Args:
        classifier: A classifier; not an export.
        image: Path, encoded bytes, open binary file, Pillow image or pixels, as for `Classifier.predict`.
        top: Number of classes, at least 1.
        at: Name of the layer whose feature map is shown, such as ``"conv4_block6_out"``. None for the last map of which
            four cells fit beside each other on the image: the output of the last stage from 128 pixels on, and that of
            an earlier stage for smaller images. Earlier stages need Keras.

    Returns:
        The image, the classes and their maps; `Explanation.save` draws them.

    Warns:
        UserWarning: If the map is coarser than that, since Keras is not installed.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read, ``top`` is not positive, or the network has no such feature map.
    """
    if top < 1:
        raise ValueError(f"expected top to be at least 1, got {top}.")
    if not isinstance(image, np.ndarray) and hasattr(image, "read"):
        image = image.read()  # it is decoded twice
    height, width = classifier.image_size
    pixels = fit_image(image, height=height, width=width, fit=classifier.fit)
    (probabilities,) = classifier.probabilities(pixels[None])
    best = np.argsort(-probabilities, kind="stable")[:top]
    found = heat_maps(classifier, np.repeat(pixels[None], len(best), axis=0), best, at=at)
    times = max(1, -(-_SHOWN // max(height, width)))  # a whole multiple is cut from the file in the same shape
    return Explanation(
        image=fit_image(image, height=height * times, width=width * times, fit=classifier.fit),
        class_names=tuple(classifier.class_names[k] for k in best),
        probabilities=tuple(probabilities[best].tolist()),
        heats=found.values,
        feature_map=found.feature_map,
    )
