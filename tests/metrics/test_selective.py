"""Scores of prediction sets and refusal, against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from factories import raises
from resnet50.metrics.selective import score_selective
from resnet50.uncertainty.thresholds import Judgement

ROWS = np.array([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.3, 0.7]])
LABELS = np.array([0, 1, 0, 1])  # the second is a mistake
SETS = np.array([[1, 0], [1, 0], [1, 1], [0, 1]], bool)


def scores(refused=(False, False, True, False), sets=SETS):
    refused = None if refused is None else np.array(refused)
    return score_selective(
        Judgement(sets, None, refused), ROWS, LABELS, ("a", "b"), coverage=0.95, calibration_images=19
    )


def test_coverage_and_size_over_all_and_by_class():
    found = scores()
    assert (found.all.images, found.all.covered, found.all.size, found.all.refused) == (4, 0.75, 1.25, 0.25)
    assert (found.classes["a"].covered, found.classes["a"].size, found.classes["a"].refused) == (1, 1.5, 0.5)
    assert (found.classes["b"].covered, found.classes["b"].size, found.classes["b"].refused) == (0.5, 1, 0)
    assert (found.singletons, found.singletons_right) == (0.75, pytest.approx(2 / 3))


def test_the_risk_coverage_curve_answers_the_most_confident_first():
    found = scores()
    assert found.answered == (0.25, 0.5, 0.75, 1.0)
    assert found.risk == pytest.approx((0, 1 / 2, 1 / 3, 1 / 4))
    assert found.area == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 4) / 4)


def test_the_interval_is_that_of_a_beta_binomial_draw():
    """With 19 images at 95 % the coverage is Beta(19, 1): P(all 4 are covered) = 19/23."""
    low, high = scores().interval
    rng = np.random.default_rng(0)
    drawn = rng.binomial(4, rng.beta(19, 1, 200_000)) / 4
    assert (low, high) == (np.quantile(drawn, 0.025), np.quantile(drawn, 0.975))


def test_without_refusal_or_single_classes():
    assert scores(refused=None).all.refused is None
    both = scores(sets=np.ones((4, 2), bool))
    assert (both.singletons, both.singletons_right) == (0, None)


def test_there_must_be_sets():
    with raises(ValueError, "none"):
        score_selective(Judgement(None, None, None), ROWS, LABELS, ("a", "b"), coverage=0.95, calibration_images=9)
