"""The figure of similarity to human judgments."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from matplotlib.figure import Figure

from factories import raises, texts
from resnet50.metrics.similarity import Agreement, Correlation, Similarity
from resnet50.plots.similarity import draw_similarity

NAMES = ("lightness", "grain $size")


def agreement(images: int, *values: float, p: float = 0.01) -> Agreement:
    overall, *dimensions = (Correlation(value, chance=0.1, band=(-0.05, 0.25), p=p) for value in values)
    return Agreement(images, overall, tuple(dimensions))


def similarity(lowest: float = 0.3) -> Similarity:
    return Similarity(
        fitted=agreement(360, 0.62, 0.81, 0.33),
        held_out=agreement(120, 0.5, 0.7, lowest, p=0.2),
        realigned=agreement(120, 0.6, 0.75, 0.4),
        variance=0.8,
        permutations=1000,
        seed=0,
    )


def dots(figure: Figure) -> list[list[tuple[float, bool]]]:
    """Each panel's dots from the top, and whether each is filled."""
    panels = [axes for axes in figure.axes if axes.patches]
    rows = [[line for line in axes.lines if line.get_marker() == "o"] for axes in panels]
    return [[(float(line.get_xdata()[0]), line.get_markerfacecolor() != "white") for line in row] for row in rows]


def test_each_alignment_has_a_panel_with_overall_and_every_dimension():
    figure = draw_similarity(similarity(), NAMES, title="Rocks")
    assert dots(figure) == [
        [(0.62, True), (0.81, True), (0.33, True)],
        [(0.5, False), (0.7, False), (0.3, False)],
        [(0.6, True), (0.75, True), (0.4, True)],
    ]
    assert {"Rocks", "overall", "1 lightness", "2 grain $size"} <= set(texts(figure))
    headings = [text for text in texts(figure) if re.search("360|120", text)]
    assert [re.findall(r"\d+", text) for text in headings] == [["360"], ["120"], ["120"]]
    assert len(set(headings)) == 3
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=50, bbox_inches="tight")
    assert buffer.getvalue().startswith(b"\x89PNG")


def test_chance_is_drawn_behind_each():
    figure = draw_similarity(similarity(), NAMES, title="Rocks")
    for axes in (axes for axes in figure.axes if axes.patches):
        assert [(bar.get_x(), bar.get_width()) for bar in axes.patches] == [(-0.05, pytest.approx(0.3))] * 3
        lines = [[float(x) for x in line.get_xdata()] for line in axes.lines]
        assert lines.count([0.1, 0.1]) == 3


def test_the_number_of_permutations_is_written():
    assert sum("1,000" in text for text in texts(draw_similarity(similarity(), NAMES, title="Rocks"))) == 1


@pytest.mark.parametrize(("p", "words"), [(0.01, "agree with"), (0.2, "no more than by chance")])
def test_the_title_says_how_far_new_images_agree(p, words):
    compared = replace(similarity(), held_out=agreement(120, -0.514, 0.7, 0.3, p=p))
    title = texts(draw_similarity(compared, NAMES))[0]
    assert words in title
    assert "\N{MINUS SIGN}0.51" in title


def test_a_low_correlation_stays_on_the_panel_with_its_sign():
    figure = draw_similarity(similarity(-0.6), NAMES, title="Rocks")
    assert all(axes.get_xlim()[0] < -0.6 for axes in figure.axes if axes.patches)
    assert "\N{MINUS SIGN}0.60" in texts(figure)


def test_refuses_another_number_of_names():
    with raises(ValueError, 2, 3):
        draw_similarity(similarity(), ("a", "b", "c"), title="Rocks")
