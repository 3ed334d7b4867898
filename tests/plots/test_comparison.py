from __future__ import annotations

import numpy as np

from factories import png
from resnet50.plots.comparison import draw_comparison, draw_settings


def rows(*losses, **others):
    return [{"loss": loss, "accuracy": 0.5, **others} for loss in losses]


def test_runs_of_one_setting_have_one_color_and_their_name_once():
    figure = draw_comparison({"a $x$": [rows(2.0, 1.0), rows(3.0, 1.5)], "b": [rows(0.5)]})
    loss, accuracy = figure.axes
    assert [list(line.get_ydata()) for line in loss.lines] == [[2.0, 1.0], [3.0, 1.5], [0.5]]
    first, again, other = (line.get_color() for line in loss.lines)
    assert first == again != other
    assert [line.get_markevery() for line in loss.lines] == [[], [], [0]]  # one epoch is a point
    assert len(accuracy.lines) == 3
    assert [text.get_text() for text in figure.texts] == ["a $x$", "b"]
    assert png(figure).startswith(b"\x89PNG")


def test_validation_is_drawn_where_all_runs_have_it():
    validated = rows(2.0, val_loss=7.0, val_accuracy=0.1)
    assert list(draw_comparison({"a": [validated]}).axes[0].lines[0].get_ydata()) == [7.0]
    figure = draw_comparison({"a": [validated], "b": [rows(3.0)]})
    assert [list(line.get_ydata()) for line in figure.axes[0].lines] == [[2.0], [3.0]]


def test_many_runs_differ_in_color_or_line():
    figure = draw_comparison({str(number): [rows(1.0, 0.5)] for number in range(15)})
    styles = {(line.get_color(), line.get_linestyle()) for line in figure.axes[0].lines}
    assert len(styles) == 15


def test_a_setting_has_one_color_in_all_panels():
    figure = draw_settings({"first": {"a": [[1.0, 2.0]], "b": [[3.0, 4.0]]}, "second": {"b": [[5.0, 6.0], [7.0, 8.0]]}})
    first, second = figure.axes
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["first", "second"]
    assert {line.get_color() for line in second.lines} == {first.lines[1].get_color()}
    assert [text.get_text() for text in figure.texts] == ["a", "b"]
    assert png(figure).startswith(b"\x89PNG")


def test_places_are_given_and_zeros_have_no_logarithm():
    figure = draw_settings({"norms": {"a": [[0.0, 0.1, 10.0]]}}, x=[-1.0, 0.0, 1.0], x_label="Distance", log=True)
    (axes,) = figure.axes
    assert axes.get_yscale() == "log"
    assert axes.get_xlabel() == "Distance"
    assert list(axes.lines[0].get_xdata()) == [-1.0, 0.0, 1.0]
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), [np.nan, 0.1, 10.0])


def test_panels_have_the_same_scale_where_it_is_asked_for():
    panels = {"small": {"a": [[1.0, 2.0]]}, "large": {"a": [[3.0, 90.0]]}}
    for same in (False, True):
        small, large = draw_settings(panels, same_scale=same).axes
        assert (small.get_ylim() == large.get_ylim()) == same


def test_values_without_neighbors_are_points():
    (axes,) = draw_settings({"norms": {"a": [[0.5, 0.0, 0.1, 0.2, 0.0, 0.3]]}}, log=True).axes
    assert axes.lines[0].get_markevery() == [0, 5]
