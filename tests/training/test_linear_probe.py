"""The linear probe against the gradient of its objective, which plain NumPy computes in float64."""

from __future__ import annotations

import numpy as np
import pytest

from resnet50.training.linear_probe import LabeledFeatures, fit_linear_head
from resnet50.training.phases import LinearProbe


def labeled(n, d, classes, *, seed=0, versions=1, noise=1.0):
    """Features around a center for each class, which is the same for every seed; several versions of each image."""
    centers = np.random.default_rng(99).normal(0, 1, (classes, d))
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), rng.integers(0, classes, n - classes)])
    features = [(7 * (centers[labels] + rng.normal(0, noise, (n, d)))).astype(np.float32) for _ in range(versions)]
    return LabeledFeatures(features, labels)


def softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def objective(head, train):
    """Return value and gradient of ``sum(cross-entropy) / views + |W|^2 / (2 C)`` in features of unit scale."""
    stacked = np.concatenate(train.features).astype(np.float64)
    scale = np.sqrt((stacked**2).mean())
    kernel, bias = head.kernel.astype(np.float64) * scale, head.bias.astype(np.float64)
    x, labels, views = stacked / scale, np.tile(train.labels, len(train.features)), len(train.features)
    weights = np.ones(len(labels)) if train.weights is None else np.tile(train.weights, views)
    probabilities = softmax(x @ kernel + bias)
    chosen = probabilities[np.arange(len(labels)), labels]
    value = -(weights * np.log(chosen)).sum() / views + (kernel**2).sum() / (2 * head.c)
    residual = weights[:, None] * (probabilities - np.eye(len(bias))[labels]) / views
    return value, x.T @ residual + kernel / head.c, residual.sum(axis=0)


def assert_minimal(head, train):
    """The gradient is small beside that of a head of zeros, and no step into a random direction goes down."""
    _, kernel, bias = objective(head, train)
    zero = type(head)(np.zeros_like(head.kernel), np.zeros_like(head.bias), head.c, {})
    _, kernel_of_zero, _ = objective(zero, train)
    assert np.abs(kernel).max() < 0.01 * np.abs(kernel_of_zero).max()
    assert np.abs(bias).max() < 0.01 * len(train.labels)


@pytest.mark.parametrize("c", [0.01, 1.0])
@pytest.mark.parametrize(
    ("n", "d", "classes", "versions"),
    [(60, 8, 4, 1), (20, 40, 4, 1), (60, 8, 2, 1), (20, 40, 2, 1), (15, 40, 3, 2), (30, 40, 3, 4), (30, 40, 2, 3)],
)
def test_the_head_minimizes_the_objective(n, d, classes, versions, c):
    train = labeled(n, d, classes, versions=versions)
    head = fit_linear_head(LinearProbe(c_values=(c,)), train, None, classes=classes)
    assert head.c == c
    assert (head.kernel.shape, head.kernel.dtype) == ((d, classes), np.float32)
    assert (head.bias.shape, head.bias.dtype) == ((classes,), np.float32)
    assert_minimal(head, train)


@pytest.mark.parametrize("classes", [2, 3])
def test_weights_of_images_are_part_of_the_objective(classes):
    plain = labeled(40, 6, classes)
    weights = np.where(plain.labels == 0, 5.0, 0.5).astype(np.float32)
    train = LabeledFeatures(plain.features, plain.labels, weights)
    head, other = (
        fit_linear_head(LinearProbe(c_values=(0.1,)), each, None, classes=classes) for each in (train, plain)
    )
    assert_minimal(head, train)
    assert np.abs(head.kernel - other.kernel).max() > 0.01 * np.abs(head.kernel).max()


def test_each_c_is_minimal_though_it_begins_with_the_last_one():
    train, validation = labeled(40, 60, 3, noise=3.0), labeled(30, 60, 3, seed=1, noise=3.0)
    for c_values in ((0.001, 0.1), (0.001, 0.01, 0.1, 1.0, 10.0, 1000.0)):
        head = fit_linear_head(LinearProbe(c_values=c_values), train, validation, classes=3)
        assert_minimal(head, train)


def test_the_c_that_validates_best_is_chosen():
    """On features of much noise the weakest is best, on those of none the strongest."""
    for noise, expected in ((12.0, 1e-4), (0.1, 100.0)):
        train, validation = labeled(60, 30, 4, noise=noise), labeled(60, 30, 4, seed=1, noise=noise)
        c_values = (1e-4, 0.1, 100.0)
        alone = [fit_linear_head(LinearProbe(c_values=(c,)), train, validation, classes=4) for c in c_values]
        losses = [head.scores["val_loss"] for head in alone]
        head = fit_linear_head(LinearProbe(c_values=c_values), train, validation, classes=4)
        assert head.c == c_values[int(np.argmin(losses))] == expected
        assert head.scores["val_loss"] == pytest.approx(min(losses), rel=0.02, abs=1e-4)


@pytest.mark.parametrize("classes", [2, 4])
def test_scores_are_those_of_the_images_themselves(classes):
    train, validation = labeled(50, 8, classes, versions=3), labeled(20, 8, classes, seed=1)
    head = fit_linear_head(LinearProbe(views=3, c_values=(0.1,)), train, validation, classes=classes)
    for prefix, images in (("", train), ("val_", validation)):
        probabilities = softmax(images.features[0].astype(np.float64) @ head.kernel + head.bias)
        loss = -np.log(probabilities[np.arange(len(images.labels)), images.labels]).mean()
        assert head.scores[f"{prefix}loss"] == pytest.approx(loss, rel=1e-4)
        assert head.scores[f"{prefix}accuracy"] == (probabilities.argmax(axis=1) == images.labels).mean()
    assert set(head.scores) == {"loss", "accuracy", "val_loss", "val_accuracy"}


def test_without_validation_there_are_no_scores_of_it():
    head = fit_linear_head(LinearProbe(c_values=(1.0,)), labeled(20, 4, 3), None, classes=3)
    assert set(head.scores) == {"loss", "accuracy"}


@pytest.mark.parametrize(("classes", "missing"), [(4, 1), (4, 3), (3, 0)])
def test_a_class_without_images_is_never_predicted(classes, missing):
    full = labeled(60, 8, classes)
    some = full.labels != missing
    train = LabeledFeatures([full.features[0][some]], full.labels[some])
    head = fit_linear_head(LinearProbe(c_values=(0.1,)), train, None, classes=classes)
    probabilities = softmax(full.features[0] @ head.kernel + head.bias)
    assert probabilities[:, missing].max() < 1e-6
    assert np.isfinite(head.scores["loss"])
    known = np.flatnonzero(np.arange(classes) != missing)
    kept = type(head)(head.kernel[:, known], head.bias[known], head.c, {})
    assert_minimal(kept, LabeledFeatures(train.features, np.searchsorted(known, train.labels)))


def test_versions_of_an_image_count_together_as_one():
    train = labeled(30, 8, 3)
    thrice = LabeledFeatures([train.features[0]] * 3, train.labels)
    one, three = (fit_linear_head(LinearProbe(c_values=(0.3,)), each, None, classes=3) for each in (train, thrice))
    np.testing.assert_allclose(three.kernel, one.kernel, atol=0.01 * np.abs(one.kernel).max())


def test_the_scale_of_the_features_does_not_matter():
    train = labeled(30, 8, 3)
    large = LabeledFeatures([train.features[0] * 1000], train.labels)
    one, other = (fit_linear_head(LinearProbe(c_values=(0.3,)), each, None, classes=3) for each in (train, large))
    np.testing.assert_allclose(other.kernel * 1000, one.kernel, atol=1e-3 * np.abs(one.kernel).max())
    dark = LabeledFeatures([train.features[0] * 0], train.labels)
    assert not fit_linear_head(LinearProbe(c_values=(0.3,)), dark, None, classes=3).kernel.any()


def test_the_same_features_give_the_same_head():
    train, validation = labeled(40, 60, 5, noise=3.0), labeled(30, 60, 5, seed=1, noise=3.0)
    first, again = (fit_linear_head(LinearProbe(), train, validation, classes=5) for _ in range(2))
    np.testing.assert_array_equal(first.kernel, again.kernel)
    np.testing.assert_array_equal(first.bias, again.bias)
