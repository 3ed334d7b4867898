from __future__ import annotations

import numpy as np
import pytest

from factories import raises
from resnet50.metrics.paired import paired_difference


def of(*counts):
    """Two arrays with these numbers of images: both right, only the first, only the second, none."""
    first = np.repeat([True, True, False, False], counts)
    return first, np.repeat([True, False, True, False], counts)


@pytest.mark.parametrize(
    ("counts", "p_value"),
    [
        ((50, 0, 0, 50), 1.0),
        ((50, 5, 5, 40), 1.0),
        ((90, 0, 6, 4), 2 / 2**6),
        ((90, 8, 1, 1), 2 * (1 + 9) / 2**9),
    ],
)
def test_the_p_value_is_that_of_fair_coins(counts, p_value):
    difference = paired_difference(*of(*counts))
    assert difference.p_value == pytest.approx(p_value)
    assert difference.p_in_words == f"{p_value:.3f}"
    assert (difference.first_better, difference.second_better) == counts[1:3]
    assert difference.difference == pytest.approx((counts[2] - counts[1]) / 100)


def test_images_that_both_or_none_classify_change_no_p_value():
    assert paired_difference(*of(500, 8, 1, 3)).p_value == paired_difference(*of(1, 8, 1, 300)).p_value


def test_the_interval_is_that_of_the_normal_approximation_for_many_images():
    difference = paired_difference(*of(6000, 1000, 1600, 1400))
    # the standard error of a paired difference: sqrt(b + c - (b - c)^2 / n) / n
    error = np.sqrt(2600 - 600**2 / 10_000) / 10_000
    assert difference.interval == pytest.approx((0.06 - 1.96 * error, 0.06 + 1.96 * error), abs=3e-4)


def test_shares_of_several_networks_are_tested_by_their_signs():
    first = np.zeros(6)
    second = np.array([1, 1, 1, 1, 2 / 3, 1 / 3])  # all better: one of 2^6 signs, and the reverse
    difference = paired_difference(first, second)
    assert difference.p_value == pytest.approx(2 / 2**6, abs=0.004)
    assert difference.second_better == 6
    assert difference.difference == pytest.approx(5 / 6)


def test_shares_that_are_whole_are_the_exact_test():
    first, second = of(90, 8, 1, 1)
    assert paired_difference(first.astype(float), second.astype(float)) == paired_difference(first, second)


def test_different_numbers_of_images_are_refused():
    with raises(ValueError, "(3,)", "(2,)"):
        paired_difference(np.ones(3, bool), np.ones(2, bool))
    with raises(ValueError, "(0,)"):
        paired_difference(np.ones(0, bool), np.ones(0, bool))


def test_a_small_p_value_has_no_false_digits():
    assert paired_difference(*of(0, 0, 20, 20)).p_in_words == "below 0.001"


@pytest.mark.parametrize(
    ("counts", "interval"),
    [
        ((50, 0, 0, 50), (-0.0295, 0.0295)),  # 0.9705 ** 100 is 0.05: as many equal images in 1 of 20 draws
        ((0, 0, 100, 0), (1 - 2 * 0.0295, 1)),
        ((0, 100, 0, 0), (-1, 2 * 0.0295 - 1)),
    ],
)
def test_an_interval_of_equal_differences_has_a_width(counts, interval):
    difference = paired_difference(*of(*counts))
    assert difference.interval == pytest.approx(interval, abs=1e-4)
    assert difference.unseen == pytest.approx(0.0295, abs=1e-4)
    assert difference.same == (counts[0] > 0)
