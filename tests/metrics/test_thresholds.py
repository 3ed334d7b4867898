"""Fitting thresholds: the temperature comes first, and no image sets the temperature of its own score."""

from __future__ import annotations

import numpy as np
import pytest

from factories import raises
from resnet50.metrics.thresholds import OwnImages, fit_thresholds
from resnet50.uncertainty.scaling import Temperature


def overconfident(count=400, classes=3, seed=0):
    """Labels that are drawn from the probabilities, and probabilities whose logits are three times too large."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(count, classes))
    true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = np.array([rng.choice(classes, p=row) for row in true])
    return true**3 / (true**3).sum(axis=1, keepdims=True), labels


def test_the_temperature_is_fitted_and_the_scores_are_of_scaled_probabilities():
    rows, labels = overconfident()
    found = fit_thresholds(OwnImages(rows, labels), fitted_on="out-of-fold")
    assert found.temperature.value == pytest.approx(3, rel=0.25)
    scaled = rows ** (1 / 3) / (rows ** (1 / 3)).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found.scores, 1 - scaled[np.arange(400), labels], atol=0.06)
    assert not found.refuses


def test_a_temperature_of_other_images_is_taken_as_it_is():
    rows, labels = overconfident()
    found = fit_thresholds(OwnImages(rows, labels), fitted_on="held-out", temperature=Temperature(3.0, 50, 1.0, 0.9))
    scaled = rows ** (1 / 3) / (rows ** (1 / 3)).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found.scores, 1 - scaled[np.arange(400), labels], atol=1e-6)
    assert found.temperature.images == 50


def test_no_temperature_is_offered_where_it_does_not_lower_the_loss():
    rows, labels = overconfident()
    calibrated = rows ** (1 / 3) / (rows ** (1 / 3)).sum(axis=1, keepdims=True)
    found = fit_thresholds(OwnImages(calibrated, labels), fitted_on="out-of-fold")
    assert found.temperature.value == 1
    assert found.temperature.reason


def test_sets_hold_the_class_of_new_images_at_the_coverage():
    own, new = (overconfident(seed=seed) for seed in (1, 2))
    for method in ("lac", "aps"):
        found = fit_thresholds(OwnImages(*own), fitted_on="out-of-fold", method=method)
        sets = found.judge(new[0], coverage=0.8).sets
        assert sets[np.arange(400), new[1]].mean() == pytest.approx(0.8, abs=0.06)


def test_features_and_distances_are_stored_together():
    rows, labels = overconfident(40)
    features = np.random.default_rng(0).normal(size=(30, 8)).astype(np.float32)
    found = fit_thresholds(OwnImages(rows, labels, np.full(40, 0.5)), fitted_on="held-out", features=features)
    assert found.refuses
    assert found.features.shape == (30, 8)
    assert found.farthest(0.05) == 0.5


def test_there_must_be_images():
    with raises(ValueError, "none"):
        fit_thresholds(OwnImages(np.zeros((0, 2)), np.zeros(0, int)), fitted_on="held-out")
