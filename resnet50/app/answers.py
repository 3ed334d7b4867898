"""What the page shows for an image: classes, the evidence for the first, and the training images most like it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from resnet50._io.text import printable
from resnet50._io.workers import in_order
from resnet50.data.images import ImageLike, fit_image
from resnet50.evaluation.explain import explain
from resnet50.inference.batching import forward_array
from resnet50.inference.classifier import Classifier
from resnet50.inference.neighbors import Neighbor, TrainingFeatures
from resnet50.inference.prediction import Doubt, Prediction, rank_classes
from resnet50.plots.heat import overlay
from resnet50.uncertainty.shares import COVERAGE, REFUSE

NEAREST = 4
"""Training images that are shown."""

_BATCH = 32  # images in one forward pass
_NAMED = 10  # classes of a prediction set
_SMALL = 320  # most pixels of an image in a gallery


@dataclass(frozen=True, eq=False)
class Answer:
    """The answer for an image.

    Attributes:
        top: All classes and their probabilities, 0..1, the most probable first.
        summary: The first class, how the image was fitted and how coarse the Grad-CAM is, in sentences.
        fitted: The image as the network sees it; RGB uint8 ``(height, width, 3)``.
        evidence: The same with the Grad-CAM of the first class; None for a network without feature maps.
        doubt: Its prediction set and whether it is refused.
        nearest: The training images most like it, each as RGB uint8 ``(height, width, 3)``; none where they are not
            known.
    """

    top: tuple[tuple[str, float], ...]
    summary: str
    fitted: np.ndarray
    evidence: np.ndarray | None
    doubt: Doubt
    nearest: tuple[tuple[np.ndarray, Neighbor], ...]


def answer(classifier: Classifier, image: ImageLike, training: TrainingFeatures | None = None) -> Answer:
    """Classify an image, and find the reasons.

    Args:
        classifier: A classifier; not an export.
        image: As for `Classifier.predict`, but no open file.
        training: The features of its training images, where they are known.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the image cannot be read.
    """
    pixels = _fitted(classifier, image)
    rows = forward_array(classifier.answering, pixels[None], batch_size=1)
    (doubt,) = classifier.doubts(rows)
    top = rank_classes(rows[0, : len(classifier.class_names)], classifier.class_names, len(classifier.class_names))
    height, width = classifier.image_size
    first = printable(top[0][0])
    summary = f"{first}, {top[0][1]:.1%}. Fitted to {width} by {height} pixels: {classifier.fit}."
    try:
        explanation = explain(classifier, image, top=1)
    except ImportError:
        summary += " There is no Grad-CAM, since the gradients of this network need Keras, which is not installed."
        fitted, evidence = pixels, None
    except ValueError as error:
        summary += f" There is no Grad-CAM: {error}"
        fitted, evidence = pixels, None
    else:
        summary += f" Grad-CAM for {first} at {explanation.feature_map}."
        fitted, evidence = explanation.image, overlay(explanation.image, explanation.heats[0])
    nearest = () if training is None else tuple(_nearest(classifier, pixels, training))
    return Answer(top, summary, fitted, evidence, doubt, nearest)


def verdict(doubt: Doubt) -> str:
    """Return a refusal or a prediction set as a sentence; "" without thresholds."""
    if doubt.refused:
        return (
            "None of these classes, perhaps: the image is less like the training images than "
            f"{1 - REFUSE:.0%} of images like theirs."
        )
    if doubt.prediction_set is None:
        return ""
    named, others = doubt.prediction_set[:_NAMED], len(doubt.prediction_set) - _NAMED
    names = " or ".join([*map(printable, named), *([f"{others:,} others"] if others > 0 else [])])
    return f"{names}. For {COVERAGE:.0%} of images like the training's, the right class is among these."


def answer_many(
    classifier: Classifier, files: Sequence[tuple[Path, str]], *, top: int = 3
) -> tuple[tuple[Prediction, ...], tuple[np.ndarray, ...]]:
    """Classify image files, some of which may be unreadable.

    Args:
        classifier: A classifier.
        files: Each file, and the name that the answers and errors give it.
        top: Number of classes to name for each image.

    Returns:
        A prediction for each file, with its name as the path; and the readable images as the network sees them, but
        small, RGB uint8 ``(height, width, 3)``.
    """

    def read(file: tuple[Path, str]) -> np.ndarray | str:
        path, name = file
        try:
            return _fitted(classifier, path)
        except (ValueError, OSError) as error:
            return str(error).replace(str(path), name)

    predictions: list[Prediction] = []
    images: list[np.ndarray] = []
    results = in_order(read, files)
    while batch := list(islice(results, _BATCH)):
        readable = [each for each in batch if not isinstance(each, str)]
        found = iter(_classified(classifier, readable))
        images += map(_small, readable)
        for each in batch:
            index, path = len(predictions), Path(files[len(predictions)][1])
            if isinstance(each, str):
                predictions.append(Prediction(index, path, (), each))
            else:
                row, doubt = next(found)
                predictions.append(Prediction.of(index, path, row, classifier.class_names, top=top, doubt=doubt))
    return tuple(predictions), tuple(images)


def _classified(classifier: Classifier, images: Sequence[np.ndarray]) -> list[tuple[np.ndarray, Doubt]]:
    """Return probabilities, with what may stand behind them, and the doubt of each image."""
    if not images:
        return []
    rows = forward_array(classifier.answering, np.stack(images), batch_size=_BATCH)
    return list(zip(rows, classifier.doubts(rows), strict=True))


def _small(pixels: np.ndarray) -> np.ndarray:
    image = Image.fromarray(pixels)
    image.thumbnail((_SMALL, _SMALL))
    return np.asarray(image)


def _fitted(classifier: Classifier, image: ImageLike) -> np.ndarray:
    height, width = classifier.image_size
    return fit_image(image, height=height, width=width, fit=classifier.fit)


def _nearest(
    classifier: Classifier, pixels: np.ndarray, training: TrainingFeatures
) -> Iterator[tuple[np.ndarray, Neighbor]]:
    (features,) = classifier.features.predict_on_batch(pixels[None])
    for neighbor in training.nearest(features, NEAREST):
        try:
            yield _fitted(classifier, neighbor.path), neighbor
        except (ValueError, OSError):  # the file was removed or damaged since its features were stored
            continue
