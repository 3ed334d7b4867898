"""The linear probe: logistic regression on the features of a frozen network, as its linear head."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from resnet50.training.phases import LinearProbe

_ITERATIONS = 1000  # at most; some hundred suffice


@dataclass(frozen=True, eq=False)
class LinearHead:
    """A linear head and its scores.

    Attributes:
        kernel: float32 ``(d, classes)``.
        bias: float32 ``(classes,)``.
        c: The value of ``C`` that was chosen.
        scores: ``loss`` (mean cross-entropy, nats) and ``accuracy`` on the images themselves, and ``val_loss`` and
            ``val_accuracy`` where there are validation images.
    """

    kernel: np.ndarray
    bias: np.ndarray
    c: float
    scores: dict[str, float]


@dataclass(frozen=True, eq=False)
class LabeledFeatures:
    """Features of images with their labels.

    Attributes:
        features: A float32 array ``(n, d)`` for each version of the images, the images themselves first.
        labels: ``(n,)``, 0..classes-1.
        weights: Weight of each image, ``(n,)``; None for 1.
    """

    features: Sequence[np.ndarray]
    labels: np.ndarray
    weights: np.ndarray | None = None


def fit_linear_head(
    probe: LinearProbe, train: LabeledFeatures, validation: LabeledFeatures | None, *, classes: int
) -> LinearHead:
    """Fit a linear head to features, once for each value of ``C``, and keep the one with the lowest validation loss.

    Args:
        probe: The values of ``C``.
        train: Features to fit.
        validation: Features to choose by; None where there is one value of ``C``.
        classes: Number of classes; one without training images has a probability near 0.
    """
    heads = fit_linear_heads(probe, train, validation, classes=classes)
    return min(heads, key=lambda head: head.scores.get("val_loss", 0.0))


def fit_linear_heads(
    probe: LinearProbe, train: LabeledFeatures, validation: LabeledFeatures | None, *, classes: int
) -> list[LinearHead]:
    """Fit a linear head to features for each value of ``C``; the arguments are those of `fit_linear_head`.

    Returns:
        The heads, in the order of ``probe.c_values``.
    """
    from sklearn.linear_model import LogisticRegression  # half a second
    from threadpoolctl import threadpool_limits

    stacked = np.concatenate([np.asarray(each) for each in train.features])
    count = len(train.features)
    scale = float(np.sqrt(np.mean(np.square(stacked, dtype=np.float64)))) or 1.0
    with threadpool_limits(1):  # on a busy machine, threads that wait for each other take twenty times as long
        basis = _basis(stacked)
        rows = (stacked if basis is None else stacked @ basis) / scale
    labels = np.tile(train.labels, count)
    weights = None if train.weights is None else np.tile(train.weights, count)
    # of two classes, the solver has one row of weights, and its square is twice that of the softmax's two rows
    share = count / 2 if len(np.unique(train.labels)) == 2 else count
    solver = LogisticRegression(max_iter=_ITERATIONS, warm_start=True)  # from the solution for the value before
    heads = []
    for c in probe.c_values:
        solver.set_params(C=c / share)
        with threadpool_limits(1), warnings.catch_warnings():  # with two threads an iteration takes ten times as long
            warnings.simplefilter("ignore")  # of iterations that are used up: the validation loss decides
            solver.fit(rows, labels, weights)
        kernel, bias = _as_softmax(solver, classes)
        kernel = ((kernel if basis is None else basis @ kernel) / scale).astype(np.float32)
        scores = _scores(kernel, bias, train)
        if validation is not None:
            scores |= {f"val_{name}": value for name, value in _scores(kernel, bias, validation).items()}
        heads.append(LinearHead(kernel, bias, c, scores))
    return heads


def _basis(rows: np.ndarray) -> np.ndarray | None:
    """Return an orthonormal basis of the span of rows, ``(d, n)``, where there are fewer rows than dimensions.

    The solution lies in the span, and is found much faster there.
    """
    return np.linalg.qr(rows.T)[0] if len(rows) < rows.shape[1] else None


def _as_softmax(solver: Any, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return kernel and bias of the softmax over all classes that gives the solver's probabilities."""
    coefficients, intercepts, known = solver.coef_, solver.intercept_, solver.classes_
    if len(known) == 2:  # one row for the second class
        coefficients, intercepts = np.stack([-coefficients[0], coefficients[0]]) / 2, np.array([-1, 1]) * intercepts / 2
    kernel = np.zeros((coefficients.shape[1], classes), np.float64)
    bias = np.full(classes, -1e3, np.float32)
    kernel[:, known], bias[known] = coefficients.T, intercepts
    return kernel, bias


def _scores(kernel: np.ndarray, bias: np.ndarray, labeled: LabeledFeatures) -> dict[str, float]:
    logits = np.asarray(labeled.features[0]) @ kernel + bias
    logits -= logits.max(axis=1, keepdims=True)
    losses = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(logits)), labeled.labels]
    accuracy = np.mean(logits.argmax(axis=1) == labeled.labels)
    return {"loss": float(np.mean(losses, dtype=np.float64)), "accuracy": float(accuracy)}
