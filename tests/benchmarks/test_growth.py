from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from factories import texts


@pytest.fixture
def stored() -> dict:
    def points(key: str, values: list[int]) -> list[dict[str, float]]:
        return [{key: value, "seconds": 0.1 * value, "peak_mib": 100.0 + value} for value in values]

    return {
        "batch": points("batch", [4, 8]),
        "side": points("side", [32, 64]),
        "pictures": points("pictures", [10, 40]),
    }


def test_each_panel_draws_its_numbers_under_a_title_of_its_own(script, stored):
    growth = script("growth")
    panels = growth.draw(stored).axes
    titles = [axes.get_title(loc="left") for axes in panels]
    assert len(set(titles)) == 6
    for title, (factor, change) in zip(
        titles, [("2", "2"), ("2", "1"), ("4", "2"), ("4", "1.2"), ("4", "4"), ("4", "1.3")], strict=True
    ):
        assert factor in title.split("\n")[0].split()
        assert change == title.split("\n")[1].split()[0]
    drawn = [list(axes.lines[-1].get_ydata()) for axes in panels[:5]]
    assert drawn == [pytest.approx(values) for values in ([0.4, 0.8], [104, 108], [3.2, 6.4], [132, 164], [1, 4])]


def test_logarithmic_axes_are_named_as_such(script, stored):
    for axes in script("growth").draw(stored).axes:
        for label, scale in ((axes.get_xlabel(), axes.get_xscale()), (axes.get_ylabel(), axes.get_yscale())):
            assert label
            assert ("log" in label) == (scale == "log")


def test_the_size_from_which_images_stay_in_their_file_is_marked(script, stored):
    figure = script("growth").draw(stored)
    assert [text for text in texts(figure) if "256 MiB" in text]
    (x, _) = figure.axes[5].lines[-1].get_xdata()
    assert x == pytest.approx(256 * 2**20 / (64 * 64 * 3))


def test_draw_measures_nothing(script, stored, tmp_path, monkeypatch):
    growth = script("growth")
    results = tmp_path / "growth.json"
    file = {"what": "growth", "sessions": [{"date": "2026-01-01", **stored}]}
    results.write_text(json.dumps(file))
    monkeypatch.setattr(growth, "RESULTS", results)
    monkeypatch.setattr(growth, "FIGURE", tmp_path / "growth.svg")
    monkeypatch.setattr(growth, "measure", lambda: pytest.fail("it measured"))
    monkeypatch.setattr(sys, "argv", ["growth.py", "--draw"])
    growth.main()
    assert json.loads(results.read_text()) == file
    assert {path.name for path in Path(tmp_path).iterdir()} == {"growth.json", "growth.svg", "growth-dark.svg"}
