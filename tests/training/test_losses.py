"""Losses against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from resnet50.training.losses import BinaryCrossEntropy, build_loss

LOGITS = np.random.default_rng(0).normal(0, 4, (6, 5)).astype("float32")
TARGETS = np.float32([[0.7, 0, 0.3, 0, 0], [1, 0, 0, 0, 0], [0, 0.85, 0, 0.15, 0], *[[0, 0, 0, 0, 1]] * 3])


def expected(targets):
    """Mean over the images and classes, in float64."""
    share = 1 / (1 + np.exp(-LOGITS.astype(float)))
    return -(targets * np.log(share) + (1 - targets) * np.log(1 - share)).mean()


def test_shares_are_targets():
    assert float(BinaryCrossEntropy()(TARGETS, LOGITS)) == pytest.approx(expected(TARGETS), rel=1e-5)


def test_a_class_above_the_threshold_counts_in_full():
    whole = np.float32([[1, 0, 1, 0, 0], [1, 0, 0, 0, 0], [0, 1, 0, 0, 0], *[[0, 0, 0, 0, 1]] * 3])
    assert float(BinaryCrossEntropy(threshold=0.2)(TARGETS, LOGITS)) == pytest.approx(expected(whole), rel=1e-5)


def test_smoothing_spreads_a_share_over_all_classes():
    smoothed = 0.9 * TARGETS + 0.1 / 5
    assert float(BinaryCrossEntropy(0.1)(TARGETS, LOGITS)) == pytest.approx(expected(smoothed), rel=1e-5)


def test_images_have_weights():
    weights = np.float32([0, 0, 0, 6, 0, 0])
    found = float(BinaryCrossEntropy()(TARGETS, LOGITS, sample_weight=weights))
    share = 1 / (1 + np.exp(-LOGITS[3].astype(float)))
    assert found == pytest.approx(-(TARGETS[3] * np.log(share) + (1 - TARGETS[3]) * np.log(1 - share)).mean(), rel=1e-4)


def test_large_logits_have_a_finite_loss():
    assert float(BinaryCrossEntropy()(np.float32([[1, 0]]), np.float32([[-200, 200]]))) == pytest.approx(200)


def test_a_recipe_names_its_loss(tiny_recipe):
    usual = build_loss(tiny_recipe)
    probabilities = np.full((2, 4), 0.25, np.float32)
    assert float(usual(np.eye(4, dtype="float32")[:2], probabilities)) == pytest.approx(np.log(4), rel=1e-5)
    other = build_loss(tiny_recipe.change(loss="binary-cross-entropy", label_smoothing=0.0, target_threshold=0.2))
    assert (other.label_smoothing, other.threshold) == (0.0, 0.2)
