"""What the page shows for an image: classes, the evidence for the first, and the training images most like it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from resnet50.data.images import ImageLike, fit_image
from resnet50.evaluation.explain import explain
from resnet50.inference.classifier import Classifier
from resnet50.inference.neighbors import Neighbor, TrainingFeatures
from resnet50.plots.heat import overlay

NEAREST = 4
"""Training images that are shown."""


@dataclass(frozen=True, eq=False)
class Answer:
    """The answer for an image.

    Attributes:
        shares: Probability of each class, 0..1, the most probable first.
        fitted: The image as the network sees it, enlarged; RGB uint8 ``(height, width, 3)``.
        evidence: The same with the Grad-CAM of the most probable class.
        nearest: Training images most like it; none where they are not known.
    """

    shares: dict[str, float]
    fitted: np.ndarray
    evidence: np.ndarray
    nearest: tuple[Neighbor, ...]


def answer(classifier: Classifier, image: ImageLike, training: TrainingFeatures | None = None) -> Answer:
    """Classify an image, and find the reasons.

    Args:
        classifier: A classifier; not an export.
        image: As for `Classifier.predict`.
        training: The features of its training images, where they are known.

    Raises:
        ValueError: If the image cannot be read.
    """
    prediction = classifier.predict(image, top=len(classifier.class_names))
    explanation = explain(classifier, image, top=1)
    height, width = classifier.image_size
    pixels = fit_image(image, height=height, width=width, fit=classifier.fit)
    features = classifier.features.predict_on_batch(pixels[None])[0] if training is not None else None
    return Answer(
        shares=dict(prediction.top),
        fitted=explanation.image,
        evidence=overlay(explanation.image, explanation.heats[0]),
        nearest=training.nearest(features, NEAREST) if training is not None and features is not None else (),
    )
