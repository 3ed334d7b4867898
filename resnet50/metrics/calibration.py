"""Whether a classifier is right as often as it is sure: how far off it is, and the one number that mends most of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from resnet50.inference.classifier import Classifier

BINS = 15
"""Equal parts of 0..1 into which images are sorted by how sure the classifier is."""

LEAST = 50
"""Fewest validation images that a temperature is fitted on.

Simulated, with logits 1.5 times too large (2 to 30 classes, 55 to 91 % right, 120 draws each): fitted on 8 images the
temperature made the loss of others worse in 23 to 65 % of the draws, on 30 in 2 to 42 %, on 50 in 0 to 28 %, and on 50
the mean loss was lower in all cases but one, where it was the same.
"""

_DRAWS = 200
_HOTTEST = 20.0  # temperatures are looked for between its inverse and it
_LEAST = 1e-38  # about the least float32; a softmax gives 0 below it


@dataclass(frozen=True)
class Bin:
    """The images of whose class the classifier is about as sure.

    Attributes:
        images: Their number.
        confidence: Mean probability of the most probable class, 0..1; 0 without images.
        accuracy: Share that is right, 0..1; 0 without images.
    """

    images: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Scaled:
    """What dividing the logits by a temperature that was fitted on validation images makes of the test scores.

    Attributes:
        temperature: The divisor; above 1 where the classifier is too sure.
        images: Number of validation images that it was fitted on.
        calibration_error: That of the test images with it, 0..1.
        loss: Mean cross-entropy of the test images with it, in nats.
    """

    temperature: float
    images: int
    calibration_error: float
    loss: float

    @property
    def at_limit(self) -> bool:
        """Whether the fit ended at the highest or lowest temperature that is tried, and another might fit better."""
        return bool(abs(np.log(self.temperature)) > 0.999 * np.log(_HOTTEST))


def reliability(probabilities: np.ndarray, labels: np.ndarray) -> tuple[Bin, ...]:
    """Sort images by how sure the classifier is of their most probable class.

    Args:
        probabilities: float ``(n, classes)``, 0..1.
        labels: True classes, int ``(n,)``.

    Returns:
        `BINS` bins; number m of them, from 1, holds the probabilities above (m - 1) / `BINS` and up to m / `BINS`.

    Source: Guo et al. 2017, arXiv:1706.04599, section 2.
    """
    sure = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    bins = _bins(sure)
    images = np.bincount(bins, minlength=BINS)
    some = np.maximum(images, 1)
    confidence, accuracy = (np.bincount(bins, values, minlength=BINS) / some for values in (sure, right))
    return tuple(Bin(int(n), float(p), float(share)) for n, p, share in zip(images, confidence, accuracy, strict=True))


def calibration_error(bins: tuple[Bin, ...]) -> float:
    """Return the expected calibration error, 0..1: the mean gap between confidence and accuracy, by images.

    Source: Guo et al. 2017, arXiv:1706.04599, equation 3.
    """
    images = sum(one.images for one in bins)
    return sum(one.images * abs(one.accuracy - one.confidence) for one in bins) / images


def chance_error(probabilities: np.ndarray) -> float:
    """Return the calibration error that a perfectly calibrated classifier would show on as many images, on average.

    Few images in a bin are right more or less often than they should be by chance alone, so no error is 0.

    Args:
        probabilities: float ``(n, classes)``, 0..1: how sure it is. Whether it is right is drawn, always the same way.

    Returns:
        Mean over 200 draws, 0..1.
    """
    sure = probabilities.max(axis=1).astype(np.float64)
    bins, rng = _bins(sure), np.random.default_rng(0)
    gaps = [np.bincount(bins, (rng.random(len(sure)) < sure) - sure, minlength=BINS) for _ in range(_DRAWS)]
    return float(np.abs(gaps).sum(axis=1).mean() / len(sure))


def fit_temperature(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Find the temperature T at which probabilities p^(1/T), made to sum to 1, give the labels the least loss.

    Args:
        probabilities: float ``(n, classes)``, 0..1, of images that the classifier has not learned from.
        labels: True classes, int ``(n,)``.

    Returns:
        The temperature, from 1/20 to 20; above 1 where the classifier is too sure.

    Raises:
        ValueError: If there are fewer than `LEAST` images, or each is right: the loss then falls for ever as T goes
            to 0.

    Source: Guo et al. 2017, arXiv:1706.04599, section 4.2, temperature scaling.
    """
    from scipy.optimize import minimize_scalar

    if len(labels) < LEAST:
        raise ValueError(
            f"expected at least {LEAST} validation images to fit a temperature on, got {len(labels)}; of fewer chance "
            "makes it."
        )
    if (probabilities.argmax(axis=1) == labels).all():
        raise ValueError(
            "expected validation images of which some are mistaken, to fit a temperature on, got "
            f"{len(labels):,}, all of them right."
        )
    limit = np.log(_HOTTEST)
    found = minimize_scalar(
        lambda logarithm: mean_loss(scale(probabilities, np.exp(logarithm)), labels),
        bounds=(-limit, limit),
        method="bounded",
        options={"xatol": 1e-4},
    )
    return float(np.exp(found.x))


def scale(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return p^(1/T), made to sum to 1: what the softmax gives for logits divided by T; float64 ``(n, classes)``."""
    logits = np.log(np.maximum(probabilities, _LEAST, dtype=np.float64)) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def mean_loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean cross-entropy in nats; a probability of 0 counts as 1e-12."""
    chosen = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.maximum(chosen, 1e-12)).mean())


def calibrate(classifier: Classifier, temperature: float) -> Classifier:
    """Divide a classifier's logits by a temperature, for good: by that of the weights they come from.

    Args:
        classifier: A classifier that ends in a dense layer with a softmax; it stays as it is.
        temperature: The divisor, above 0.

    Returns:
        A copy, of plain Keras layers, whose most probable class is the same for every image. Its metrics say the
        temperature (that of several calibrations is their product) and no longer the loss, which is another now.

    Raises:
        ValueError: If the temperature is not above 0, or the model does not end so.
    """
    if not 0 < temperature < np.inf:
        raise ValueError(f"temperature must be above 0, got {temperature!r}.")
    source: Any = classifier.model
    last = source.layers[-1]  # the network of an export has none, and says so
    if type(last).__name__ != "Dense" or last.get_config()["activation"] != "softmax":
        raise ValueError(
            f"the model {source.name!r}: expected a dense layer with a softmax at the end, found {last.name!r} "
            f"({type(last).__name__})."
        )
    model = type(source).from_config(source.get_config())
    model.set_weights(source.get_weights())
    model.layers[-1].set_weights([weight / temperature for weight in last.get_weights()])
    kept = {name: value for name, value in classifier.metrics.items() if name != "loss"}
    return replace(classifier, model=model, metrics={**kept, "temperature": temperature * kept.get("temperature", 1.0)})


def _bins(sure: np.ndarray) -> np.ndarray:
    return np.clip(np.ceil(sure * BINS).astype(int) - 1, 0, BINS - 1)
