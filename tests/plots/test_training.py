"""Learning curves and range tests, also of unusual training runs."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from factories import png, raises, texts
from resnet50.plots.training import draw_curves, draw_lr_curve

NAN = float("nan")


def curves(axes) -> list[tuple[list[float], list[float]]]:
    return [(list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines]


def test_curves_run_from_epoch_one_and_end_in_their_last_value():
    history = {"loss": [2.0, 1.0, 0.512], "accuracy": [0.2, 0.6, 0.754], "val_loss": [2.1, 1.5, 1.25],
               "val_accuracy": [0.1, 0.4, 0.5]}  # fmt: skip
    figure = draw_curves(history, title="T $x$")
    loss, accuracy = figure.axes
    assert curves(loss) == [([1, 2, 3], [2.0, 1.0, 0.512]), ([1, 2, 3], [2.1, 1.5, 1.25])]
    assert curves(accuracy)[0] == ([1, 2, 3], [0.2, 0.6, 0.754])
    assert texts(figure) == ["training 0.512", "validation 1.25", "training 75.4%", "validation 50.0%"]
    assert [text.get_text() for text in figure.texts] == ["T $x$"]
    assert png(figure).startswith(b"\x89PNG")


def test_epochs_without_validation_are_skipped():
    history = {"loss": [2, 1, 0.5, 0.4], "accuracy": [0.1, 0.2, 0.3, 0.4], "val_loss": [NAN, 1.5, NAN, 1.2],
               "val_accuracy": [NAN, NAN, NAN, NAN]}  # fmt: skip
    figure = draw_curves(history, title="T")
    loss, accuracy = figure.axes
    assert curves(loss)[1] == ([2, 4], [1.5, 1.2])
    assert len(curves(accuracy)) == 1
    assert texts(figure) == ["training 0.4", "validation 1.2", "training 40.0%"]
    png(figure)


@pytest.mark.parametrize("rate", [[], [0.01]], ids=["without-rate", "with-rate"])
def test_one_epoch_without_validation_is_a_point(rate):
    history = {"loss": [1.5], "accuracy": [1.0]} | ({"learning_rate": rate} if rate else {})
    figure = draw_curves(history, title="T")
    assert len(figure.axes) == 2 + len(rate)
    for axes in figure.axes:
        assert [line.get_marker() for line in axes.lines] == ["o"]
        assert list(axes.get_xticks()) == [1]
    png(figure)


def test_the_learning_rate_has_a_panel_of_its_own():
    history = {"loss": [2, 1], "accuracy": [0.1, 0.2], "learning_rate": [0.1, 0.001], "other": ["a", "b"]}
    figure = draw_curves(history, title="T")
    assert curves(figure.axes[2]) == [([1, 2], [0.1, 0.001])]
    assert [label.get_text() for label in figure.axes[2].get_yticklabels()] == ["0", "0.1"]


@pytest.mark.parametrize(
    "history",
    [
        {"loss": [NAN, NAN], "accuracy": [NAN, NAN], "learning_rate": [NAN, NAN]},
        {"loss": [0.0, 0.0], "accuracy": [1.0, 1.0], "learning_rate": [0.0, 0.0]},
        {"loss": [1.0, float("inf")], "accuracy": [0.0, 0.0]},
    ],
    ids=["nan", "perfect", "diverged"],
)
def test_unusual_training_runs_can_be_drawn(history):
    assert png(draw_curves(history, title="T")).startswith(b"\x89PNG")


@pytest.mark.parametrize("first", [0.9, 0.1])
def test_last_values_that_are_close_do_not_overlap(first):
    history = {"loss": [2, 1], "accuracy": [0.1, first], "val_loss": [2, 1.0001], "val_accuracy": [0.1, first - 0.001]}
    figure = draw_curves(history, title="T")
    for axes in figure.axes:
        training, validation = (text.get_position()[1] for text in axes.texts)
        assert abs(training - validation) > 0.08
        assert 0 <= min(training, validation) < max(training, validation) <= 1


def test_histories_that_do_not_fit_are_refused():
    with raises(ValueError, "history", "loss", "accuracy", "other"):
        draw_curves({"loss": [1], "other": [1]}, title="T")
    with raises(ValueError, "history", "loss", "accuracy"):
        draw_curves({}, title="T")
    with raises(ValueError, "history", "epoch"):
        draw_curves({"loss": [], "accuracy": []}, title="T")
    with raises(ValueError, "history", "loss 2", "accuracy 1"):
        draw_curves({"loss": [1, 2], "accuracy": [1]}, title="T")


def test_rates_are_drawn_on_a_logarithmic_axis_with_the_suggestion_marked():
    curve = SimpleNamespace(rates=(1e-4, 1e-3, 1e-2, 1e-1), losses=(2.0, 1.5, 1.0, 4.1), suggestion=1e-3)
    figure = draw_lr_curve(curve, title="T $x$")
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    assert axes.get_xlim() == (1e-4, 1e-1)
    assert curves(axes)[0] == ([1e-4, 1e-3, 1e-2, 1e-1], [2.0, 1.5, 1.0, 4.1])
    assert curves(axes)[1][0] == [1e-3, 1e-3]
    assert curves(axes)[2] == ([1e-3], [1.5])
    (label,) = texts(figure)
    assert "0.001" in label
    assert [text.get_text() for text in figure.texts] == ["T $x$"]
    low, high = axes.get_ylim()
    assert low < 1 < 2 < high < 4.1  # the end is cut off
    assert png(figure).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("losses", "suggestion"),
    [((1.0, 1.0, 1.0), 1.0), ((1.0, 2.0, 4.5), 0.1), ((3.0, 2.0, 0.0), 10.0)],
    ids=["flat", "rising", "falling"],
)
def test_unusual_range_tests_can_be_drawn(losses, suggestion):
    figure = draw_lr_curve(SimpleNamespace(rates=(0.1, 1.0, 10.0), losses=losses, suggestion=suggestion))
    FigureCanvasAgg(figure).draw()
    (title,) = figure.texts
    assert title.get_text()
    (label,) = figure.axes[0].texts
    box = label.get_window_extent()
    assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1


def test_a_line_stands_between_two_phases_in_every_panel():
    history = {"phase": [1, 1, 2, 3, 3], "loss": [5.0, 4.0, 3.0, 2.0, 1.0], "accuracy": [0.1, 0.2, 0.3, 0.4, 0.5],
               "learning_rate": [1.0, 1.0, 0.5, 0.2, 0.1]}  # fmt: skip
    figure = draw_curves(history, title="T")
    assert len(figure.axes) == 3
    for axes in figure.axes:
        curve, *boundaries = curves(axes)
        assert [x for x, _ in boundaries] == [[2.5, 2.5], [3.5, 3.5]]
        assert curve[0] == [1, 2, 3, 4, 5]
    assert figure.axes[0].get_ylim() == draw_curves({**history, "phase": [1] * 5}, title="T").axes[0].get_ylim()
    assert png(figure).startswith(b"\x89PNG")


def test_every_axis_is_named_with_and_without_a_title():
    history = {"loss": [2, 1], "accuracy": [0.1, 0.2], "learning_rate": [0.1, 0.001]}
    for title in ("T", None):
        figure = draw_curves(history, title=title)
        assert [axes.get_xlabel() for axes in figure.axes] == ["Epoch"] * 3
        assert [axes.get_title(loc="left") for axes in figure.axes] == ["Loss (nats)", "Accuracy", "Learning rate"]
        assert len(figure.texts) == (1 if title else 0)


def test_linear_probes_are_points_beside_the_curves():
    history = {"phase": [1, 2, 3, 3], "loss": [0.5, 0.25, 1.5, 1.0], "accuracy": [0.5, 0.75, 0.25, 1.0],
               "val_loss": [NAN] * 4, "learning_rate": [NAN, NAN, 0.5, 0.125]}  # fmt: skip
    figure = draw_curves(history, title="T")
    points, curve, boundary = figure.axes[0].lines
    assert (points.get_xdata().tolist(), points.get_ydata().tolist()) == ([1, 2], [0.5, 0.25])
    assert (points.get_linestyle(), points.get_marker()) == ("None", "o")
    assert (curve.get_xdata().tolist(), curve.get_ydata().tolist()) == ([3, 4], [1.5, 1.0])
    assert list(boundary.get_xdata()) == [2.5, 2.5]  # no line stands between two probes
    assert texts(figure)[-1] == "phase 3"
    only = draw_curves({name: values[:2] for name, values in history.items()}, title="T")
    assert [len(axes.lines) for axes in only.axes] == [1, 1]  # and no learning rate
    ended = draw_curves(history | {"learning_rate": [NAN, NAN, NAN, 0.0]}, title="T")
    assert len(ended.axes) == 2  # a single epoch ends at a rate of 0
    assert "training 0.25" in texts(only)


def test_the_name_of_an_early_phase_stands_beside_the_title_of_the_panel():
    epochs = 40
    history = {"phase": [1, *[2] * (epochs - 1)], "learning_rate": [0.5] * epochs,
               "loss": [1.0] * epochs, "accuracy": [0.5] * epochs}  # fmt: skip
    figure = draw_curves(history, title="T")
    figure.canvas.draw()
    panel = figure.axes[2]
    title = panel.get_window_extent().x0 + panel._left_title.get_window_extent().width
    (name,) = (text for text in panel.texts if text.get_text() == "phase 2")
    assert name.get_window_extent().x0 > title


def test_one_phase_has_no_lines():
    figure = draw_curves({"phase": [1, 1], "loss": [2, 1], "accuracy": [0.1, 0.2]}, title="T")
    assert len(curves(figure.axes[0])) == 1
