from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from factories import raises
from resnet50.plots.save import save_figure


def test_a_figure_is_written_in_the_format_of_its_name(tmp_path):
    save_figure(Figure(), tmp_path / "new" / "a.png")
    save_figure(Figure(), tmp_path / "a.svg")
    assert (tmp_path / "new" / "a.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (tmp_path / "a.svg").read_bytes()


def test_a_name_without_a_format_is_refused(tmp_path):
    with raises(ValueError, tmp_path / "sheet", ".png"):
        save_figure(Figure(), tmp_path / "sheet")
    assert not list(tmp_path.iterdir())


def test_a_failed_figure_leaves_the_old_one(tmp_path):
    path = tmp_path / "a.nosuchformat"
    path.write_text("old")
    with raises(ValueError, "nosuchformat"):
        save_figure(Figure(), path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_dark_figure_has_light_lines_and_no_paper_of_its_own(tmp_path):
    figure = Figure(facecolor="white")
    figure.text(0.5, 0.5, "x", color="#1f2933")
    figure.add_artist(Rectangle((0, 0), 0.2, 0.2, color="white"))
    save_figure(figure, tmp_path / "light.svg")
    save_figure(figure, tmp_path / "dark.svg", dark=True)
    light, dark = (tmp_path.joinpath(name).read_text(encoding="utf-8") for name in ("light.svg", "dark.svg"))
    assert "#ffffff" in light
    assert "#1f2933" in light
    assert dark.count("#191919") == light.count("#ffffff") - 1  # the rectangle, not the paper
    assert "#ffffff" not in dark
    assert "#1f2933" not in dark


def test_the_same_figure_gives_the_same_svg(tmp_path):
    for name in ("a.svg", "b.svg"):
        figure = Figure()
        figure.add_subplot().plot([1, 2])
        save_figure(figure, tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_a_dark_figure_in_pixels_is_refused(tmp_path):
    with raises(ValueError, tmp_path / "a.png", ".svg", ".png"):
        save_figure(Figure(), tmp_path / "a.png", dark=True)
    assert not list(tmp_path.iterdir())
