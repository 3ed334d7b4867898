from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def module(script):
    return script("conventions")


def test_features_are_compared_by_what_distinguishes_images(module):
    right = np.array([[1.0, 5.0], [3.0, 5.0]])
    assert module.relative_difference(right, right + 7) == pytest.approx(0)  # the same for all images
    assert module.relative_difference(right, 2 * right) == pytest.approx(1)
    assert module.relative_difference(right, np.array([[1.0, 6.0], [3.0, 4.0]])) == pytest.approx(1)


def test_each_wrong_network_differs_in_one_thing(module):
    for conventions, normalization in module.WRONG.values():
        changed = [name for name, value in vars(conventions).items() if value != getattr(module.V1_5, name)]
        assert len(changed) + (normalization != "torch") == 1
