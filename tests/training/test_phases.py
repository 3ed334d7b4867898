from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from factories import raises
from resnet50.training.phases import LinearProbe, Phase


@pytest.mark.parametrize(
    ("numbers", "values"),
    [
        ({"views": -1}, ("views", 0, "-1")),
        ({"views": 1.5}, ("views", "whole number", 1.5)),
        ({"min_error": -0.1}, ("min_error", "0..1", -0.1)),
        ({"min_error": 1.1}, ("min_error", "0..1", 1.1)),
        ({"min_error": float("nan")}, ("min_error", "0..1", "nan")),
        ({"min_error": "5%"}, ("min_error", "number", "'5%'")),
    ],
)
def test_impossible_views_and_errors_of_a_phase_are_refused(numbers, values):
    with raises(ValueError, *values):
        Phase(epochs=1, **numbers)


@pytest.mark.parametrize(
    ("numbers", "values"),
    [
        ({"views": 0}, ("views", 1, 0)),
        ({"views": True}, ("views", "whole number", "True")),
        ({"views": 2.0}, ("views", "whole number", 2.0)),
        ({"c_values": ()}, ("c_values", "rising", "()")),
        ({"c_values": 1.0}, ("c_values", "rising", 1.0)),
        ({"c_values": "0.1"}, ("c_values", "rising", "'0.1'")),
        ({"c_values": ("0.1",)}, ("c_values", "rising", "'0.1'")),
        ({"c_values": (0.0, 1.0)}, ("c_values", "above 0", "(0.0, 1.0)")),
        ({"c_values": (1.0, 0.1)}, ("c_values", "rising", "(1.0, 0.1)")),
        ({"c_values": (0.1, 0.1)}, ("c_values", "rising", "(0.1, 0.1)")),
        ({"c_values": (0.1, float("inf"))}, ("c_values", "rising", "inf")),
        ({"c_values": (float("nan"),)}, ("c_values", "rising", "nan")),
        ({"min_error": -0.1}, ("min_error", "0..1", -0.1)),
        ({"min_error": 2}, ("min_error", "0..1", 2)),
        ({"min_error": None}, ("min_error", "number", "None")),
    ],
)
def test_impossible_numbers_of_a_linear_probe_are_refused(numbers, values):
    with raises(ValueError, *values):
        LinearProbe(**numbers)


def test_a_linear_probe_counts_as_one_epoch_of_the_head():
    probe = LinearProbe(views=3)
    assert (probe.epochs, probe.trainable, probe.views, probe.min_error) == (1, "head", 3, 0)
    with pytest.raises(FrozenInstanceError):
        probe.views = 2


def test_strengths_may_be_whole_numbers_and_a_list_as_in_json():
    assert LinearProbe(c_values=[1, 10]) == LinearProbe(c_values=(1, 10))
    assert LinearProbe(c_values=[0.5]).c_values == (0.5,)
