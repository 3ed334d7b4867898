"""Conformal prediction: the rank of the quantile, the sets, and their coverage over many draws."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

import numpy as np
import pytest

from factories import raises
from resnet50.uncertainty.conformal import class_scores, conformal_quantile, fewest_images, prediction_sets

ROWS = np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])


def test_the_score_of_lac_is_what_is_missing_to_certainty():
    np.testing.assert_allclose(class_scores(ROWS, "lac"), [[0.5, 0.7, 0.8], [0.9, 0.9, 0.2]])


def test_the_score_of_aps_is_the_sum_down_to_the_class():
    np.testing.assert_allclose(class_scores(ROWS, "aps"), [[0.5, 0.8, 1.0], [0.9, 1.0, 0.8]])


def test_an_unknown_score_is_refused():
    with raises(ValueError, "lac", "aps", "'raps'"):
        class_scores(ROWS, "raps")


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("count", [1, 4, 9, 18, 19, 20, 39, 98, 99, 100])
def test_the_quantile_has_the_rank_of_the_finite_sample(coverage, count):
    scores = np.random.default_rng(0).permutation(count) + 1.0  # the k-th smallest is k
    rank = ceil((count + 1) * Fraction(str(coverage)))
    assert conformal_quantile(scores, coverage) == (rank if rank <= count else None)
    assert (count >= fewest_images(coverage)) == (rank <= count)


def test_nineteen_images_are_needed_for_95_percent():
    assert [fewest_images(coverage) for coverage in (0.5, 0.9, 0.95, 0.99)] == [1, 9, 19, 99]


def test_a_tiny_coverage_takes_the_smallest_score():
    assert conformal_quantile(np.array([3.0, 1.0, 2.0]), 1e-9) == 1
    assert fewest_images(1e-9) == 1


@pytest.mark.parametrize("coverage", [0.0, 1.0, -1.0, float("nan")])
def test_a_coverage_that_is_no_share_is_refused(coverage):
    with raises(ValueError, "coverage", repr(coverage)):
        conformal_quantile(np.ones(100), coverage)


def test_a_set_holds_the_classes_up_to_the_threshold_and_is_never_empty():
    assert prediction_sets(ROWS, 0.75, "lac").tolist() == [[True, True, False], [False, False, True]]
    assert prediction_sets(ROWS, 0.1, "lac").tolist() == [[True, False, False], [False, False, True]]
    assert prediction_sets(ROWS, np.array([0.1, 0.9, 0.1]), "lac").tolist() == [
        [True, True, False],
        [False, True, True],
    ]


@pytest.mark.parametrize("method", ["lac", "aps"])
def test_the_mean_coverage_over_many_draws_is_the_promised_one(method):
    """Of 49 calibration images at 80 %, the expected coverage is 40/50."""
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(400):
        logits = rng.normal(size=(149, 5))
        rows = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        labels = np.array([rng.choice(5, p=row) for row in rows])
        right = class_scores(rows, method)[np.arange(149), labels]
        sets = prediction_sets(rows[49:], conformal_quantile(right[:49], 0.8), method)
        covered.append(sets[np.arange(100), labels[49:]].mean())
    error = np.std(covered) / 20
    # a set is never empty, which adds a little
    assert 0.8 - 3 * error < np.mean(covered) < 0.8 + 3 * error + 0.02
