from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="the fused operations are TensorFlow's")


@pytest.fixture(scope="module")
def script():
    path = Path(__file__).parents[2] / "benchmarks" / "same_network.py"
    specification = importlib.util.spec_from_file_location("same_network", path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_losses_are_compared_under_one_seed_and_between_seeds(script):
    plain = np.array([[1.0, 2.0], [4.0, 6.0]])
    fast = plain + np.array([[0.1, 0.1], [0.3, 0.5]])
    compared = script.compare_losses(plain, fast)
    assert compared["same_seed"] == pytest.approx(np.sqrt((0.01 + 0.01 + 0.09 + 0.25) / 4))
    assert compared["other_seeds"] == pytest.approx(np.sqrt((9 + 16) / 2))
    assert compared["fast_minus_plain"] == pytest.approx(0.25)
    assert compared["standard_error"] == pytest.approx(0.15)  # of 0.1 and 0.4
    json.dumps(compared)


def test_moving_statistics_are_compared_layer_by_layer(script):
    def seeds(*values):
        return [{name: [np.float32([value]), np.float32([value])] for name in script.STATISTICS} for value in values]

    plain, fast = seeds(1, 3), seeds(1.5, 2.5)
    fast[0]["moving_mean"][1] = np.float32([1])
    fast[1]["moving_mean"][1] = np.float32([3])
    compared = script.compare_statistics(plain, fast)
    assert compared["moving_variance"] == {"layers": 2, "median_share": 0.25, "greatest_share": 0.25}
    assert compared["moving_mean"] == {"layers": 2, "median_share": 0.125, "greatest_share": 0.25}
    json.dumps(compared)
