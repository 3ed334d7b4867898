from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from factories import raises
from resnet50._io.figure_mark import is_own_figure
from resnet50.plots.save import adaptive_svg, save_figure


def test_a_figure_is_written_in_the_format_of_its_name(tmp_path):
    save_figure(Figure(), tmp_path / "new" / "a.png")
    save_figure(Figure(), tmp_path / "a.svg")
    assert (tmp_path / "new" / "a.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (tmp_path / "a.svg").read_bytes()


def test_a_png_bears_the_mark_by_which_it_is_told_from_images(tmp_path):
    save_figure(Figure(), tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.info["Software"] == "resnet50"
    assert is_own_figure(tmp_path / "a.png")
    Figure().savefig(tmp_path / "b.png")
    assert not is_own_figure(tmp_path / "b.png")
    assert not is_own_figure(tmp_path / "gone.png")


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


def drawn() -> Figure:
    figure = Figure(figsize=(4, 2), facecolor="white")
    axes = figure.add_subplot()
    axes.plot([0, 1.23456], color="#1f2933")
    axes.imshow(np.eye(2), cmap="gray")
    figure.text(0.5, 0.5, "a <b> & c", color="#dde2e8", family="DejaVu Sans")
    return figure


def test_an_adaptive_figure_has_each_color_for_light_and_for_dark_paper():
    svg = adaptive_svg(drawn())
    light, dark = re.findall(r":root{(.*?)}", svg)
    colors = dict(pair.split(":") for pair in light.strip(";").split(";"))
    darker = dict(pair.split(":") for pair in dark.strip(";").split(";"))
    assert {"#1f2933", "#dde2e8"} <= {*colors.values()}
    assert colors.keys() == darker.keys()
    assert all(darker[name] != color for name, color in colors.items())
    assert "@media(prefers-color-scheme:dark){:root{" in svg
    rest = svg.split("</style>", 1)[1]
    assert not re.search('#[0-9a-f]{6}[;"]', rest)
    assert {*re.findall(r"var\((--\d+)\)", rest)} == {*colors}


def test_an_adaptive_figure_is_small_well_formed_and_the_same_each_time():
    svg = adaptive_svg(drawn())
    root = ElementTree.fromstring(svg)  # noqa: S314 - our own text
    assert root.get("viewBox") == "0 0 288 144"
    (written,) = [each.text for each in root.iter() if each.text and "&" in each.text]
    assert written == "a <b> & c"  # text, not outlines of letters
    assert not re.search(r"[1-9]\.\d{3}|<!--|<metadata", svg.split("base64")[0])
    assert svg == adaptive_svg(drawn())


def test_an_adaptive_figure_has_transparent_paper():
    svg = adaptive_svg(Figure(facecolor="white"))
    assert "#ffffff" not in svg
    assert "fill: none" in svg


@pytest.mark.parametrize("text", ["12.3456789", "k: #ff0000", "font-family: odd; b", ' transform="rotate(0 1)" c'])
def test_the_texts_of_an_adaptive_figure_stay_as_they_are(text):
    figure = Figure()
    figure.text(0.5, 0.5, text)
    root = ElementTree.fromstring(adaptive_svg(figure))  # noqa: S314 - our own text
    assert text in [each.text for each in root.iter()]
