"""Labels that may be wrong, by predictions of models that have not seen the images."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np

from resnet50._io.text import are, have, listed, plural
from resnet50.audit.issue import EXAMPLES, AllImages, Issue, Place

_NAMED = 5  # classes in a summary
_RELIABLE = 0.8  # accuracy; on rocks, at 49 %, a tenth of the marked labels were planted errors


@dataclass(frozen=True, eq=False)
class LabelErrors:
    """How probable it is that each label is wrong.

    Attributes:
        order: Indices of the images whose most probable class is not their label, the most suspicious first.
        scores: Self-confidence of each image, 0..1, ``(n,)``: the lower, the more probably the label is wrong.
        marked: Whether confident learning marks each image, bool ``(n,)``.
        expected: Number of images of each class whose label is expected to be wrong, ``(classes,)``.
    """

    order: np.ndarray
    scores: np.ndarray
    marked: np.ndarray
    expected: np.ndarray


def find_label_errors(
    probabilities: np.ndarray, labels: np.ndarray, *, decided: np.ndarray | bool = False
) -> LabelErrors:
    """Rank images by how probable it is that their label is wrong.

    They are ranked by self-confidence, which finds more planted errors than the normalized margin where there are many
    classes (``benchmarks/label_errors.py``).

    Args:
        probabilities: Out-of-fold probabilities, ``(n, classes)``, 0..1.
        labels: ``(n,)``, 0..classes-1.
        decided: Images whose label is known to be right, bool ``(n,)``.
    """
    scores = self_confidence(probabilities, labels)
    wrong = np.flatnonzero((probabilities.argmax(axis=1) != labels) & np.logical_not(decided))
    joint = confident_joint(probabilities, labels, decided=decided)
    shares = 1 - np.diag(joint) / np.maximum(joint.sum(axis=1), 1)
    expected = np.where(joint.sum(axis=1) > 0, shares, 0) * np.bincount(labels, minlength=len(joint))
    marks = marked(probabilities, labels, decided=decided)
    return LabelErrors(wrong[np.argsort(scores[wrong], kind="stable")], scores, marks, expected)


def self_confidence(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the probability of each label, ``(n,)``."""
    return probabilities[np.arange(len(labels)), labels]


def normalized_margin(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return ``(p(label) - max p(other) + 1) / 2`` of each image, ``(n,)``, 0..1; below 1/2 for another prediction.

    Source: Northcutt et al. 2021, arXiv:1911.00068, section 3.2 (normalized margin).
    """
    others = probabilities.copy()
    others[np.arange(len(labels)), labels] = -1
    return (self_confidence(probabilities, labels) - others.max(axis=1) + 1) / 2


def confident_classes(
    probabilities: np.ndarray, labels: np.ndarray, *, decided: np.ndarray | bool = False
) -> np.ndarray:
    """Return the class that each image is confidently of, ``(n,)``; -1 for none.

    A class is a candidate if its probability is at least the mean over the images that are labeled so; of several, the
    most probable one counts. Images of ``decided``, bool ``(n,)``, are of their label's.

    Source: Northcutt et al. 2021, arXiv:1911.00068, equations 1 and 2.
    """
    classes = probabilities.shape[1]
    thresholds = np.array([probabilities[labels == k, k].mean() if (labels == k).any() else 2 for k in range(classes)])
    candidates = np.where(probabilities >= thresholds, probabilities, -1)
    confident = np.where(candidates.max(axis=1) > -1, candidates.argmax(axis=1), -1)
    return np.where(decided, labels, confident)


def confident_joint(probabilities: np.ndarray, labels: np.ndarray, *, decided: np.ndarray | bool = False) -> np.ndarray:
    """Return the counts of images by their label and the class that they are confidently of, ``(classes, classes)``."""
    classes, confident = probabilities.shape[1], confident_classes(probabilities, labels, decided=decided)
    known = confident >= 0
    return np.bincount(labels[known] * classes + confident[known], minlength=classes**2).reshape(classes, classes)


def marked(probabilities: np.ndarray, labels: np.ndarray, *, decided: np.ndarray | bool = False) -> np.ndarray:
    """Return whether confident learning marks each label, bool ``(n,)``.

    It does if the image is confidently of another class, and that is not its label's.
    """
    confident = confident_classes(probabilities, labels, decided=decided)
    return (confident >= 0) & (confident != labels) & (probabilities.argmax(axis=1) != labels)


def label_issues(
    images: AllImages, probabilities: np.ndarray, features: np.ndarray | None, *, decided: Collection[str] = ()
) -> Iterator[Issue]:
    """Find images whose label may be wrong.

    Args:
        images: All images.
        probabilities: Their out-of-fold probabilities, in the same order, ``(n, classes)``, 0..1.
        features: Their features, ``(n, d)``, by which the nearest images are found; None shows none.
        decided: Paths of images whose label somebody has decided (`resnet50.data.corrections`): they are not found.

    Yields:
        One issue, if the prediction of any image is not its label.
    """
    labels = images.labels
    paths = (path for dataset in images.splits.values() for path in dataset.paths)
    is_decided = np.array([path in decided for path in paths])
    errors = find_label_errors(probabilities, labels, decided=is_decided)
    if not len(errors.order):
        return
    right = float((probabilities.argmax(axis=1) == labels).mean())
    marks, others = int(errors.marked.sum()), int(is_decided.sum())
    counts = _whole(errors.expected)
    most = np.argsort(-errors.expected, kind="stable")
    per_class = [f"{counts[k]:,} of {images.class_names[k]}" for k in most if counts[k]]
    total = int(counts.sum())
    words = f"; about {plural(total, 'wrong label')} {are(total)} expected: {listed(per_class, most=_NAMED)}"
    expected = words if per_class else ""
    yield Issue(
        kind="label-error",
        severity="warning" if marks else "note",
        summary=f"{plural(len(errors.order), 'image')} of {len(labels):,} may have a wrong label"
        f"{f', {marks:,} of them probably' if marks else ''}{expected}."
        + (f" {plural(others, 'other')} {have(others)} a label that the corrections decide." if others else ""),
        advice="Look at them, the most suspicious first; each is predicted as another class by a model that has not "
        f"seen it. {_caution(right)}",
        examples=tuple(
            _example(images, int(k), probabilities, bool(errors.marked[k]), features) for k in errors.order[:EXAMPLES]
        ),
    )


def _whole(expected: np.ndarray) -> np.ndarray:
    """Return whole numbers that add up to the rounded sum: the largest remainders are rounded up."""
    counts = np.floor(expected).astype(np.int64)
    left = round(float(expected.sum())) - int(counts.sum())
    counts[np.argsort(counts - expected, kind="stable")[:left]] += 1
    return counts


def _caution(accuracy: float) -> str:
    """Return a sentence on images whose label is right; ``accuracy`` is that of all predictions, 0..1."""
    if accuracy >= _RELIABLE:
        return "Hard images are among them."
    return f"Only {accuracy:.0%} of all predictions agree with the labels: many of these may be hard images."


def _example(
    images: AllImages, number: int, probabilities: np.ndarray, is_marked: bool, features: np.ndarray | None
) -> tuple[Place, ...]:
    """Return an image with what the model says, and the nearest images of both classes."""
    predicted = int(probabilities[number].argmax())
    name = images.class_names[predicted]
    mark = ", probably wrong" if is_marked else ""
    remark = f"suspect: predicted {name}, {probabilities[number, predicted]:.0%}{mark}"
    place = images.place(number, remark, suggestion=name)
    if features is None:
        return (place,)
    return (place, *_nearest(images, number, features, (int(images.labels[number]), predicted)))


def _nearest(images: AllImages, number: int, features: np.ndarray, classes: tuple[int, ...]) -> Iterator[Place]:
    """Yield the nearest other image of each class, by the cosine of their features."""
    rows = np.asarray(features, np.float32)
    cosine = rows @ rows[number] / np.maximum(np.linalg.norm(rows, axis=1), 1e-12)
    cosine[number] = -np.inf
    for label in classes:
        of_class = np.where(images.labels == label, cosine, -np.inf)
        nearest = int(of_class.argmax())
        if np.isfinite(of_class[nearest]):
            yield images.place(nearest, f"for comparison: nearest of {images.class_names[label]}")
