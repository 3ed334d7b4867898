"""Calibration: whether accuracy equals confidence, by how much the two differ, and temperature scaling."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from resnet50.uncertainty.scaling import Temperature, scale

if TYPE_CHECKING:
    from resnet50.inference.classifier import Classifier

BINS = 15
"""Number of equal intervals of confidence, 0..1, that images are grouped by."""

MIN_IMAGES = 50
"""Smallest number of validation images to fit a temperature on.

In a simulation with logits 1.5 times too large (2 to 30 classes, accuracy 55 to 91 %, 120 draws each), a temperature
fitted on 8 images increased the loss of other images in 23 to 65 % of the draws, on 30 images in 2 to 42 %, and on 50
images in 0 to 28 %. With 50 images the mean loss fell in all cases but one, where it stayed the same.
"""

FOLDS = 10
"""Number of parts of the validation images in the cross-validation of a temperature."""

_DRAWS = 200
_MAX_TEMPERATURE = 20.0  # the lowest is its inverse


@dataclass(frozen=True)
class Bin:
    """Images of similar confidence.

    Attributes:
        images: Number of images.
        confidence: Mean probability of the most probable class, 0..1; 0 without images.
        accuracy: Share of images whose most probable class is right, 0..1; 0 without images.
    """

    images: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class TemperatureScaling:
    """A recommended temperature, and the scores of test images with it, which had no part in the recommendation.

    Attributes:
        temperature: The divisor of the logits; above 1 where the classifier is overconfident.
        images: Number of images that it was fitted on, which the classifier has not learned from.
        validation_loss: Mean cross-entropy of these images without a temperature, in nats.
        cross_validated_loss: The same with temperatures that were fitted on other folds (`cross_validated`), in
            nats; below `validation_loss`.
        calibration_error: Expected calibration error of the test images with the temperature, 0..1.
        loss: Mean cross-entropy of the test images with the temperature, in nats.
    """

    temperature: float
    images: int
    validation_loss: float
    cross_validated_loss: float
    calibration_error: float
    loss: float


class NoTemperatureError(ValueError):
    """No temperature is recommended.

    Args:
        reason: Why, as a sentence for a report.

    Attributes:
        reason: The same.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"no temperature is recommended: {reason}")
        self.reason = reason


def reliability(probabilities: np.ndarray, labels: np.ndarray) -> tuple[Bin, ...]:
    """Group images by confidence, the probability of the most probable class.

    Args:
        probabilities: float ``(n, classes)``, 0..1.
        labels: True classes, int ``(n,)``.

    Returns:
        `BINS` bins; bin m, from 1, holds the images of confidence above (m - 1) / `BINS` and up to m / `BINS`.

    Source: Guo et al. 2017, arXiv:1706.04599, section 2.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    is_right = probabilities.argmax(axis=1) == labels
    bins = _bins(confidence)
    images = np.bincount(bins, minlength=BINS)
    means = (np.bincount(bins, values, minlength=BINS) / np.maximum(images, 1) for values in (confidence, is_right))
    return tuple(Bin(int(n), float(p), float(share)) for n, p, share in zip(images, *means, strict=True))


def calibration_error(bins: tuple[Bin, ...]) -> float:
    """Return the expected calibration error, 0..1: the mean gap between confidence and accuracy, weighted by images.

    ``ECE = sum_m n_m / n * |accuracy_m - confidence_m|`` over the bins m of ``n_m`` images.

    Source: Guo et al. 2017, arXiv:1706.04599, equation 3.
    """
    images = sum(each.images for each in bins)
    return sum(each.images * abs(each.accuracy - each.confidence) for each in bins) / images


def chance_error(probabilities: np.ndarray) -> float:
    """Return the mean calibration error that a perfectly calibrated classifier shows on as many images by chance.

    It is above 0, since the accuracy in a bin of few images differs from its expectation by chance.

    Args:
        probabilities: float ``(n, classes)``, 0..1, which determine the confidences. Whether an image is right is drawn
            with a fixed seed.

    Returns:
        Mean over 200 draws, 0..1.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    bins, rng = _bins(confidence), np.random.default_rng(0)
    draws = (rng.random(len(confidence)) < confidence for _ in range(_DRAWS))
    gaps = [np.bincount(bins, is_right - confidence, minlength=BINS) for is_right in draws]
    return float(np.abs(gaps).sum(axis=1).mean() / len(confidence))


def recommend_temperature(probabilities: np.ndarray, labels: np.ndarray) -> Temperature:
    """Recommend a temperature by images that the classifier has not learned from.

    The temperature is fitted on all of them. It is recommended only where temperatures that are fitted in the same way
    lower the loss of images that they were not fitted on (`cross_validated_losses`), by more than the standard error of
    this difference.

    Args:
        probabilities: float ``(n, classes)``, 0..1.
        labels: True classes, int ``(n,)``.

    Raises:
        NoTemperatureError: If none is recommended: as `fit_temperature`; or the best temperature is at the limit of the
            search; or it does not lower the loss of held-out images.
    """
    temperature = fit_temperature(probabilities, labels)
    _check_limit(temperature, len(labels))
    before, after = losses(probabilities, labels), cross_validated_losses(probabilities, labels)
    gain, error = float((before - after).mean()), float((before - after).std(ddof=1) / np.sqrt(len(labels)))
    if not gain > error:  # NaN compares false
        raise NoTemperatureError(
            f"it does not clearly lower the loss of held-out images, which is {after.mean():.3f} with it and "
            f"{before.mean():.3f} without (standard error of the difference {error:.3f}), in a {FOLDS}-fold "
            f"cross-validation on {len(labels):,} images."
        )
    return Temperature(temperature, len(labels), float(before.mean()), float(after.mean()))


def find_temperature(probabilities: np.ndarray, labels: np.ndarray) -> Temperature:
    """Return what `recommend_temperature` does, or a temperature of 1 with the reason why none is recommended."""
    try:
        return recommend_temperature(probabilities, labels)
    except NoTemperatureError as error:
        return Temperature(images=len(labels), reason=error.reason)


def score_temperature(fitted: Temperature, probabilities: np.ndarray, labels: np.ndarray) -> TemperatureScaling:
    """Score test images with a recommended temperature, in which they had no part.

    Args:
        fitted: The temperature.
        probabilities: Of the test images, without it; float ``(n, classes)``, 0..1.
        labels: Their true classes, int ``(n,)``.
    """
    scaled = scale(probabilities, fitted.value)
    return TemperatureScaling(
        temperature=fitted.value,
        images=fitted.images,
        validation_loss=fitted.loss,
        cross_validated_loss=fitted.scaled_loss,
        calibration_error=calibration_error(reliability(scaled, labels)),
        loss=mean_loss(scaled, labels),
    )


def fit_temperature(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Find the temperature T for which the probabilities p^(1/T), normalized, have the lowest cross-entropy.

    Args:
        probabilities: float ``(n, classes)``, 0..1, of images that the classifier has not learned from.
        labels: True classes, int ``(n,)``.

    Returns:
        The temperature, from 1/20 to 20; above 1 where the classifier is overconfident.

    Raises:
        NoTemperatureError: If there are fewer than `MIN_IMAGES` images, a probability is not finite, or all are right,
            so that the loss falls as long as T does.

    Source: Guo et al. 2017, arXiv:1706.04599, section 4.2, temperature scaling.
    """
    if len(labels) < MIN_IMAGES:
        raise NoTemperatureError(
            f"it is fitted on at least {MIN_IMAGES} held-out images, and there are {len(labels)}. Hold out more."
        )
    if not np.isfinite(probabilities).all():
        raise NoTemperatureError("some probabilities are NaN or infinite.")
    if (probabilities.argmax(axis=1) == labels).all():
        raise NoTemperatureError(
            f"all {len(labels):,} held-out images are classified correctly, and it is fitted on mistakes as well. Hold "
            "out more."
        )
    return _best_temperature(probabilities, labels)


def cross_validated_losses(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the cross-entropy of each image with `cross_validated` probabilities, in nats, float64 ``(n,)``."""
    return losses(cross_validated(probabilities, labels), labels)


def cross_validated(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the probabilities of each image with the temperature that fits the images of the other folds best.

    Args:
        probabilities: float ``(n, classes)``, 0..1, n at least `FOLDS`.
        labels: True classes, int ``(n,)``. Each class is spread evenly over the folds, with a fixed seed.

    Returns:
        float64 ``(n, classes)``, 0..1, each row summing to 1.
    """
    shuffled = np.random.default_rng(0).permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    result = np.empty(probabilities.shape)
    for fold in range(FOLDS):
        held_out = by_class[fold::FOLDS]
        others = np.setdiff1d(by_class, held_out)
        temperature = _best_temperature(probabilities[others], labels[others])
        result[held_out] = scale(probabilities[held_out], temperature)
    return result


def losses(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the cross-entropy of each image in nats, float64 ``(n,)``; a probability of 0 counts as 1e-12.

    Args:
        probabilities: float ``(n, classes)``, 0..1.
        labels: True classes, int ``(n,)``.
    """
    true = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return -np.log(np.maximum(true, 1e-12))


def mean_loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean of `losses`, in nats."""
    return float(losses(probabilities, labels).mean())


def calibrate(classifier: Classifier, temperature: float) -> Classifier:
    """Return a classifier whose logits are divided by a temperature, by dividing the weights of the last layer.

    Args:
        classifier: A classifier that ends in a dense layer with a softmax; it is not changed.
        temperature: The divisor, above 0.

    Returns:
        A copy of plain Keras layers that predicts the same class for every image. Its metrics have the temperature (the
        product, after several calibrations) and not the loss, which has changed.

    Raises:
        ValueError: If the temperature is not above 0, or the model ends in another layer.
    """
    if not 0 < temperature < np.inf:
        raise ValueError(f"expected temperature above 0, got {temperature!r}.")
    source: Any = classifier.model
    last = source.layers[-1]  # an export has no layers, and raises an error that says so
    if type(last).__name__ != "Dense" or last.get_config()["activation"] != "softmax":
        raise ValueError(
            f"the model {source.name!r}: expected a dense layer with a softmax at the end, got {last.name!r} "
            f"({type(last).__name__})."
        )
    model = type(source).from_config(source.get_config())
    model.set_weights(source.get_weights())
    model.layers[-1].set_weights([weight / temperature for weight in last.get_weights()])
    metrics = {name: value for name, value in classifier.metrics.items() if name != "loss"}
    metrics["temperature"] = temperature * metrics.get("temperature", 1.0)
    thresholds = classifier.thresholds.divided(temperature) if classifier.thresholds else None
    return replace(classifier, network=model, metrics=metrics, thresholds=thresholds)


def _bins(confidence: np.ndarray) -> np.ndarray:
    return np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)


def _best_temperature(probabilities: np.ndarray, labels: np.ndarray) -> float:
    from scipy.optimize import minimize_scalar

    limit = np.log(_MAX_TEMPERATURE)
    optimum = minimize_scalar(
        lambda logarithm: mean_loss(scale(probabilities, np.exp(logarithm)), labels),
        bounds=(-limit, limit),
        method="bounded",
        options={"xatol": 1e-4},
    )
    return float(np.exp(optimum.x))


def _check_limit(temperature: float, images: int) -> None:
    """Refuse the highest and lowest temperature that the fit tries, since another might fit better."""
    if abs(np.log(temperature)) <= 0.999 * np.log(_MAX_TEMPERATURE):
        return
    reason = "its confidence hardly depends on whether a prediction is right"
    if temperature < 1:
        reason = "its predicted class is hardly more probable than the others"
    raise NoTemperatureError(
        f"the best one on {images:,} held-out images is at the limit of the search from {1 / _MAX_TEMPERATURE:g} to "
        f"{_MAX_TEMPERATURE:g}: for this classifier, {reason}."
    )
