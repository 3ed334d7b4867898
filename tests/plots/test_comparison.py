from __future__ import annotations

from factories import png
from resnet50.plots.comparison import draw_comparison


def rows(*losses, **others):
    return [{"loss": loss, "accuracy": 0.5, **others} for loss in losses]


def test_runs_of_one_setting_have_one_color_and_their_name_once():
    figure = draw_comparison({"a $x$": [rows(2.0, 1.0), rows(3.0, 1.5)], "b": [rows(0.5)]})
    loss, accuracy = figure.axes
    assert [list(line.get_ydata()) for line in loss.lines] == [[2.0, 1.0], [3.0, 1.5], [0.5]]
    first, again, other = (line.get_color() for line in loss.lines)
    assert first == again != other
    assert loss.lines[2].get_marker() == "o"  # one epoch
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
