"""Scores of a classifier on labeled images; `resnet50.reports.report` writes them as files, with figures and a page."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from resnet50._io.matrix_json import with_matrix
from resnet50._io.text import listed
from resnet50.data.dataset import Dataset
from resnet50.metrics.calibration import (
    Bin,
    TemperatureScaling,
    calibration_error,
    chance_error,
    mean_loss,
    reliability,
)
from resnet50.metrics.selective import SelectiveScores

if TYPE_CHECKING:
    from resnet50.audit.issue import Issue

TOP = (2, 3, 5)
"""Each k for which a report has the top-k accuracy, where there are more than k classes."""

_ROUNDING = 1e-3  # a softmax in half precision may sum to a little more than 1


@dataclass(frozen=True)
class ClassScores:
    """Scores of one class.

    Attributes:
        precision: Of the images predicted as this class, the share that are of it, 0..1; 0 if there are none.
        recall: Of the images of this class, the share predicted as it, 0..1; 0 if there are none.
        f1: Harmonic mean of precision and recall, 0..1.
        support: Number of images of the class.
    """

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Mistake:
    """An image whose most probable class is not its own.

    Attributes:
        index: Its index in the dataset.
        path: Where it came from, as the dataset has it.
        true: Name of its class.
        predicted: Name of the most probable class.
        probability: Probability of the predicted class, 0..1.
    """

    index: int
    path: str
    true: str
    predicted: str
    probability: float


@dataclass(frozen=True)
class FeatureScoring:
    """How probabilities were computed from the stored features of a network, and how near they are to its own.

    Attributes:
        precision: Precision in which the features were computed, ``"bfloat16"`` or ``"float32"``.
        compared: Number of test images that the float32 model classified too.
        difference: Largest difference of a probability of these, 0..1.
    """

    precision: str
    compared: int
    difference: float


@dataclass(frozen=True)
class Report:
    """Scores of a classifier on labeled images; what ``report.json`` holds, under the same names.

    Attributes:
        dataset: Name of the dataset.
        images: Number of images.
        accuracy: Share of images whose most probable class is right, 0..1.
        interval: 95 % confidence interval of the accuracy (Wilson 1927), 0..1.
        top_k: For each k of `TOP` below the number of classes, the share of images whose class is among the k most
            probable, 0..1. Of equally probable classes the first ranks higher, as in ``accuracy``.
        macro_f1: Mean F1 of the classes that have images, 0..1.
        balanced_accuracy: Mean recall of the classes that have images, 0..1.
        loss: Mean cross-entropy in nats.
        calibration_error: Expected calibration error, 0..1 (Guo et al. 2017, equation 3).
        chance_error: The calibration error that a perfectly calibrated classifier shows on as many images by chance,
            0..1.
        temperature_scaling: The recommended temperature with its scores; None where none is recommended.
        classes: Scores by class name, in the order of the model's outputs.
        reliability: Bins of images by confidence, the lowest first.
        confusion: Confusion matrix: counts, rows true and columns predicted, ``(classes, classes)``.
        mistakes: Every image whose most probable class is not its own, the highest probability first.
        temperature_reason: Why no temperature is recommended, one line; empty where one is, or none was looked for.
        issues: Issues that the audit found, where it was run.
        from_features: How the probabilities were computed from features; None where the model computed them.
        precision: Precision in which the model computed, ``"fp32"``, ``"bf16"`` or ``"int8"``, or another of an export.
        selective: Scores of prediction sets and of refusal; None for a classifier without thresholds for them.
        selective_reason: Why there are no sets or no refusal, one line; empty where there are, or that is not known.
    """

    dataset: str
    images: int
    accuracy: float
    interval: tuple[float, float]
    top_k: dict[int, float]
    macro_f1: float
    balanced_accuracy: float
    loss: float
    calibration_error: float
    chance_error: float
    temperature_scaling: TemperatureScaling | None
    classes: dict[str, ClassScores]
    reliability: tuple[Bin, ...]
    confusion: list[list[int]]
    mistakes: tuple[Mistake, ...]
    temperature_reason: str = ""
    issues: tuple[Issue, ...] = ()
    from_features: FeatureScoring | None = None
    precision: str = "fp32"
    selective: SelectiveScores | None = None
    selective_reason: str = ""

    @property
    def scored_classes(self) -> int:
        """Number of classes that have images; means over classes are over these."""
        return sum(scores.support > 0 for scores in self.classes.values())

    def to_json(self) -> str:
        """Return the report as JSON text, in which each row of the confusion matrix is a line."""
        return with_matrix(asdict(replace(self, confusion=[])), "confusion", self.confusion)


def score(probabilities: np.ndarray, dataset: Dataset) -> Report:
    """Compare predictions with labels.

    Args:
        probabilities: float ``(n, classes)``, 0..1, row k for image k of the dataset.
        dataset: The images that were classified, with their labels.

    Returns:
        The scores.

    Raises:
        ValueError: If there is not one row for each image and one column for each class, a number is not 0..1 (such as
            a logit or NaN), or two classes have the same name.
    """
    _check(probabilities, dataset)
    labels, classes = dataset.labels, len(dataset.class_names)
    predicted = probabilities.argmax(axis=1)
    is_right = predicted == labels
    # not by scikit-learn, which warns where there is a single class
    confusion = np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)
    bins = reliability(probabilities, labels)
    ranks = _ranks(probabilities, labels)
    by_class = _class_scores(labels, predicted, classes)
    with_images = [scores for scores in by_class if scores.support]
    return Report(
        dataset=dataset.name,
        images=len(dataset),
        accuracy=float(is_right.mean()),
        interval=accuracy_interval(is_right),
        top_k={k: float((ranks < k).mean()) for k in TOP if k < classes},
        macro_f1=float(np.mean([scores.f1 for scores in with_images])),
        balanced_accuracy=float(np.mean([scores.recall for scores in with_images])),
        loss=mean_loss(probabilities, labels),
        calibration_error=calibration_error(bins),
        chance_error=chance_error(probabilities),
        temperature_scaling=None,
        classes=dict(zip(dataset.class_names, by_class, strict=True)),
        reliability=bins,
        confusion=confusion.tolist(),
        mistakes=_mistakes(probabilities, dataset),
    )


def accuracy_interval(right: np.ndarray) -> tuple[float, float]:
    """Return the 95 % confidence interval of an accuracy, 0..1.

    Args:
        right: Whether each image is classified correctly, bool ``(n,)``, at least one.

    Source: Wilson 1927, Journal of the American Statistical Association 22.
    """
    from scipy.stats import binomtest

    interval = binomtest(int(right.sum()), len(right)).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


def _check(probabilities: np.ndarray, dataset: Dataset) -> None:
    classes = len(dataset.class_names)
    if not len(dataset) or probabilities.shape != (len(dataset), classes):
        raise ValueError(
            f"{dataset.name}: expected probabilities of shape ({len(dataset)}, {classes}) for at least one image, "
            f"got {probabilities.shape}."
        )
    lowest, highest = probabilities.min(), probabilities.max()
    if not (lowest >= 0 and highest <= 1 + _ROUNDING):
        raise ValueError(f"{dataset.name}: expected probabilities in 0..1, got {lowest:g}..{highest:g}.")
    if len(set(dataset.class_names)) < classes:
        raise ValueError(f"{dataset.name}: expected distinct class names, got {listed(dataset.class_names, most=10)}.")


def _class_scores(labels: np.ndarray, predicted: np.ndarray, classes: int) -> list[ClassScores]:
    """Return the scores of each class, in the order of the labels."""
    from sklearn.metrics import precision_recall_fscore_support

    columns = precision_recall_fscore_support(labels, predicted, labels=range(classes), zero_division=0.0)
    return [
        ClassScores(float(precision), float(recall), float(f1), int(support))
        for precision, recall, f1, support in zip(*columns, strict=True)
    ]


def _mistakes(probabilities: np.ndarray, dataset: Dataset) -> tuple[Mistake, ...]:
    """Return every image whose most probable class is not its own, the highest probability first."""
    labels, names = dataset.labels, dataset.class_names
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    return tuple(
        Mistake(int(k), dataset.paths[k], names[labels[k]], names[predicted[k]], float(confidence[k]))
        for k in wrong[np.argsort(-confidence[wrong], kind="stable")]
    )


def _ranks(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the number of classes that rank above the right one.

    Not by scikit-learn's top-k accuracy, which breaks ties in another way than argmax.
    """
    chosen = np.take_along_axis(probabilities, labels[:, None], axis=1)
    earlier = np.arange(probabilities.shape[1]) < labels[:, None]
    return ((probabilities > chosen) | ((probabilities == chosen) & earlier)).sum(axis=1)
