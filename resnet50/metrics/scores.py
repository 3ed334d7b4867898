"""How good predictions are: the numbers, in memory; `resnet50.reports.report` writes them as files, with figures and a page."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from resnet50.data.dataset import Dataset
from resnet50.metrics.calibration import Bin, Scaled, calibration_error, chance_error, mean_loss, reliability

if TYPE_CHECKING:
    from resnet50.audit.issue import Issue

TOP = (2, 3, 5)
"""For which k a report says how often the right class is among the k most probable; only below the classes' number."""

_ROUNDING = 1e-3  # a softmax in half precision may sum to a little more than 1


@dataclass(frozen=True)
class ClassScores:
    """One class: of the images called so the share that are (precision), of those that are the share found (recall).

    ``f1`` is the harmonic mean of the two; ``support`` the number of images of the class. A share of nothing is 0.
    """

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Mistake:
    """An image that is taken for another class.

    Attributes:
        index: Its place in the split.
        path: Where it came from.
        true: Name of its class.
        predicted: Name of the most probable class.
        probability: Probability of that class, 0..1.
    """

    index: int
    path: str
    true: str
    predicted: str
    probability: float


@dataclass(frozen=True)
class Report:
    """Scores of a classifier on a split.

    Attributes:
        dataset: Name of the data set.
        images: Number of images.
        accuracy: Share of images whose most probable class is right, 0..1.
        interval: 95 % confidence interval of the accuracy (Wilson 1927), 0..1.
        top_k: For each k of `TOP` below the number of classes: share of images whose class is among the k most
            probable, 0..1. Of classes that are as probable the first counts as more so, as in ``accuracy``.
        macro_f1: Mean F1 of the classes that have images, 0..1.
        balanced_accuracy: Mean recall of the classes that have images, 0..1.
        loss: Mean cross-entropy in nats.
        calibration_error: Expected calibration error, 0..1 (Guo et al. 2017, equation 3).
        chance_error: The calibration error that as many images show by chance alone, 0..1.
        scaled: What temperature scaling would make of it; None where nothing was fitted.
        no_temperature: Why none is offered, one line; empty where one is.
        classes: Scores by class name, in the order of the model's outputs.
        reliability: Images by how sure the classifier is, the least sure first.
        confusion: Counts, rows true and columns predicted, ``(classes, classes)``.
        mistakes: Every image that is taken for another class; first where the classifier is surest.
        findings: What the audit found, where it was asked.
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
    scaled: Scaled | None
    classes: dict[str, ClassScores]
    reliability: tuple[Bin, ...]
    confusion: list[list[int]]
    mistakes: tuple[Mistake, ...]
    no_temperature: str = ""
    issues: tuple[Issue, ...] = ()

    @property
    def scored(self) -> int:
        """Number of classes that have images, which the means over classes are over."""
        return sum(scores.support > 0 for scores in self.classes.values())

    @property
    def worse_scaled(self) -> bool:
        """Whether the temperature makes both the calibration error and the loss worse."""
        return (
            self.scaled is not None
            and self.scaled.calibration_error > self.calibration_error
            and self.scaled.loss > self.loss
        )

    def to_json(self) -> str:
        """Return the report as JSON text."""
        return json.dumps(asdict(self), indent=2)


def score(probabilities: np.ndarray, dataset: Dataset) -> Report:
    """Compare predictions with labels.

    Args:
        probabilities: float ``(n, classes)``, 0..1, row k for image k of the split.
        dataset: The images that were classified.

    Returns:
        The scores.

    Raises:
        ValueError: If there is not one row for each image and one column for each class, a number is none or not
            0..1 (logits are not), or two classes have the same name.
    """
    classes = len(dataset.class_names)
    if not len(dataset) or probabilities.shape != (len(dataset), classes):
        raise ValueError(
            f"{dataset.name}: expected predictions of shape ({len(dataset)}, {classes}) for at least one image, "
            f"got {probabilities.shape}."
        )
    lowest, highest = probabilities.min(), probabilities.max()
    if not (lowest >= 0 and highest <= 1 + _ROUNDING):
        raise ValueError(f"{dataset.name}: probabilities must be 0..1, got {lowest:g}..{highest:g}.")
    if len(set(dataset.class_names)) < classes:
        raise ValueError(f"{dataset.name}: class names must differ, got {', '.join(dataset.class_names)}.")
    from scipy.stats import binomtest
    from sklearn.metrics import precision_recall_fscore_support

    labels, names = dataset.labels, dataset.class_names
    predicted = probabilities.argmax(axis=1)
    right = predicted == labels
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predicted, labels=range(classes), zero_division=0.0
    )
    # scikit-learn's own matrix warns of a single class
    confusion = np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)
    there = support > 0
    interval = binomtest(int(right.sum()), len(dataset)).proportion_ci(method="wilson")
    bins = reliability(probabilities, labels)
    ranks = _ranks(probabilities, labels)
    wrong = np.flatnonzero(~right)
    sure = probabilities.max(axis=1)
    return Report(
        dataset=dataset.name,
        images=len(dataset),
        accuracy=float(right.mean()),
        interval=(float(interval.low), float(interval.high)),
        top_k={k: float((ranks < k).mean()) for k in TOP if k < classes},
        macro_f1=float(f1[there].mean()),
        balanced_accuracy=float(recall[there].mean()),
        loss=mean_loss(probabilities, labels),
        calibration_error=calibration_error(bins),
        chance_error=chance_error(probabilities),
        scaled=None,
        classes={
            name: ClassScores(float(precision[k]), float(recall[k]), float(f1[k]), int(support[k]))
            for k, name in enumerate(names)
        },
        reliability=bins,
        confusion=confusion.tolist(),
        mistakes=tuple(
            Mistake(int(k), dataset.paths[k], names[labels[k]], names[predicted[k]], float(sure[k]))
            for k in wrong[np.argsort(-sure[wrong], kind="stable")]
        ),
    )


def _ranks(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return how many classes come before the right one; scikit-learn's top-k breaks ties against its own argmax."""
    chosen = np.take_along_axis(probabilities, labels[:, None], axis=1)
    earlier = np.arange(probabilities.shape[1]) < labels[:, None]
    return ((probabilities > chosen) | ((probabilities == chosen) & earlier)).sum(axis=1)
