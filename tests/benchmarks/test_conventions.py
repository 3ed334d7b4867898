from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="module")
def script():
    path = Path(__file__).parents[2] / "benchmarks" / "conventions.py"
    specification = importlib.util.spec_from_file_location("conventions", path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_features_are_compared_by_what_distinguishes_images(script):
    right = np.array([[1.0, 5.0], [3.0, 5.0]])
    assert script.relative_difference(right, right + 7) == pytest.approx(0)  # the same for all images
    assert script.relative_difference(right, 2 * right) == pytest.approx(1)
    assert script.relative_difference(right, np.array([[1.0, 6.0], [3.0, 4.0]])) == pytest.approx(1)


def test_each_wrong_network_differs_in_one_thing(script):
    for conventions, normalization in script.WRONG.values():
        changed = [name for name, value in vars(conventions).items() if value != getattr(script.V1_5, name)]
        assert len(changed) + (normalization != "torch") == 1
