from __future__ import annotations

from matplotlib.figure import Figure

from factories import raises
from resnet50.plots.pair import save_pair


def test_a_pair_is_a_light_and_a_dark_file(tmp_path):
    figure = Figure(facecolor="white")
    light, dark = save_pair(figure, tmp_path / "new" / "a.svg")
    assert (light, dark) == (tmp_path / "new" / "a.svg", tmp_path / "new" / "a-dark.svg")
    assert "#ffffff" in light.read_text(encoding="utf-8")
    assert "#ffffff" not in dark.read_text(encoding="utf-8")


def test_only_svg_has_a_dark_twin(tmp_path):
    with raises(ValueError, tmp_path / "a.png", ".svg", ".png"):
        save_pair(Figure(), tmp_path / "a.png")
    with raises(ValueError, tmp_path / "a", ".svg"):
        save_pair(Figure(), tmp_path / "a")
    assert not list(tmp_path.iterdir())
