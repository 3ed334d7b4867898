from __future__ import annotations

import json
import sys

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="the fused operations are TensorFlow's")


@pytest.fixture
def same_network(script):
    return script("same_network")


def test_losses_are_compared_under_one_seed_and_between_seeds(same_network):
    plain = np.array([[1.0, 2.0], [4.0, 6.0]])
    fast = plain + np.array([[0.1, 0.1], [0.3, 0.5]])
    compared = same_network.compare_losses(plain, fast)
    assert compared["same_seed"] == pytest.approx(np.sqrt((0.01 + 0.01 + 0.09 + 0.25) / 4))
    assert compared["other_seeds"] == pytest.approx(np.sqrt((9 + 16) / 2))
    assert compared["fast_minus_plain"] == pytest.approx(0.25)
    assert compared["standard_error"] == pytest.approx(0.15)  # of 0.1 and 0.4
    json.dumps(compared)


def test_moving_statistics_are_compared_layer_by_layer(same_network):
    def seeds(*values):
        return [
            {name: [np.float32([value]), np.float32([value])] for name in same_network.STATISTICS} for value in values
        ]

    plain, fast = seeds(1, 3), seeds(1.5, 2.5)
    fast[0]["moving_mean"][1] = np.float32([1])
    fast[1]["moving_mean"][1] = np.float32([3])
    compared = same_network.compare_statistics(plain, fast)
    assert compared["moving_variance"] == {"layers": 2, "median_share": 0.25, "greatest_share": 0.25}
    assert compared["moving_mean"] == {"layers": 2, "median_share": 0.125, "greatest_share": 0.25}
    json.dumps(compared)


@pytest.fixture
def stored(same_network) -> dict:
    plain = np.array([[2.0, 1.0, 1.5], [3.0, 2.0, 2.5]])
    fast = plain + np.array([[0.0, 0.1, -0.1], [0.0, -0.1, 0.1]])
    curves = {"plain": plain.tolist(), "fast": fast.tolist()}
    return {"losses": same_network.compare_losses(plain, fast), "curves": curves}


def test_losses_are_drawn_above_the_differences_of_precisions_and_seeds(same_network, stored):
    above, below = same_network.draw(stored).axes
    assert [list(line.get_ydata()) for line in above.lines] == [[2.5, 1.5, 2.0]] * 2
    seeds, precisions = (list(line.get_ydata()) for line in below.lines)
    assert seeds == pytest.approx([1, 1, 1])
    assert precisions == pytest.approx([0, 0.1, 0.1])
    for axes in (above, below):
        assert "nats" in axes.get_ylabel()
        assert axes.get_title(loc="left")
        assert len(axes.get_legend().get_texts()) == len(axes.lines) + len(axes.collections)
    assert below.get_xlabel()
    assert {"0.082", "1"} <= set(below.get_title(loc="left").replace(",", "").split())


def test_draw_trains_nothing(same_network, stored, tmp_path, monkeypatch):
    results = tmp_path / "same-network.json"
    results.write_text(json.dumps(stored))
    monkeypatch.setattr(same_network, "RESULTS", results)
    monkeypatch.setattr(same_network, "FIGURE", tmp_path / "same_network.svg")
    monkeypatch.setattr(same_network, "measure", lambda *_: pytest.fail("it trained"))
    monkeypatch.setattr(sys, "argv", ["same_network.py", "--draw"])
    same_network.main()
    assert json.loads(results.read_text()) == stored
    names = {"same-network.json", "same_network.svg", "same_network-dark.svg"}
    assert {path.name for path in tmp_path.iterdir()} == names
