"""Reliability diagrams and class balance, from few to many classes."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from factories import png, raises, texts
from resnet50.metrics.calibration import Bin
from resnet50.plots.evaluation import draw_balance, draw_reliability


def bars(axes) -> list[list[tuple[float, float, float]]]:
    """Left edge, bottom and height of each bar, a list for each set of bars."""
    return [[(round(bar.get_x(), 4), bar.get_y(), bar.get_height()) for bar in group] for group in axes.containers]


def test_reliability_shows_accuracy_the_gap_and_the_counts():
    bins = [Bin(0, 0.0, 0.0), Bin(30, 0.4, 0.5), Bin(0, 0.0, 0.0), Bin(10, 0.9, 0.6)]
    figure = draw_reliability(bins, title="T $x$")
    upper, lower = figure.axes
    accuracies, gaps = bars(upper)
    assert accuracies == [(0.26, 0, 0.5), (0.76, 0, 0.6)]  # bins without images have no bar
    assert gaps == [(0.26, 0.5, pytest.approx(-0.1)), (0.76, 0.6, pytest.approx(0.3))]
    assert [height for *_, height in bars(lower)[0]] == [0, 30, 0, 10]
    assert list(upper.lines[0].get_xydata().ravel()) == [0, 0, 1, 1]
    assert [text.get_text() for text in figure.texts] == ["T $x$"]
    assert png(figure).startswith(b"\x89PNG")


@pytest.mark.parametrize("bins", [[Bin(1, 1.0, 0.0)] * 15, [Bin(1, 0.5, 1.0)]], ids=["wrong", "one"])
def test_unusual_classifiers_can_be_drawn(bins):
    assert png(draw_reliability(bins, title="T" * 90)).startswith(b"\x89PNG")


def test_every_axis_is_named_with_and_without_a_title():
    bins = [Bin(1, 0.5, 1.0)]
    for title in ("T", None):
        upper, lower = draw_reliability(bins, title=title).axes
        assert [axes.get_xlabel() for axes in (upper, lower)] == ["Confidence"] * 2
        assert [axes.get_title(loc="left") for axes in (upper, lower)] == ["Accuracy", "Images"]
    assert not draw_reliability(bins, title=None).texts
    titled, bare = (draw_balance({"test": [1]}, ("a",), title=title) for title in ("T", None))
    assert texts(titled) == ["T", *texts(bare)]
    assert titled.get_figheight() > bare.get_figheight()


def test_the_legend_does_not_cover_the_bars():
    figure = draw_reliability([Bin(5, (k + 0.5) / 15, 1.0) for k in range(15)], title="T")
    FigureCanvasAgg(figure).draw()
    upper = figure.axes[0]
    assert upper.get_legend().get_window_extent().y0 >= upper.get_window_extent().y1 - 1


def test_balance_has_a_panel_for_each_split_and_a_row_for_each_class():
    figure = draw_balance({"train": [40, 20], "test": [10, 0]}, ("cat", "$dog"), title="Farm")
    assert texts(figure) == ["Farm", "cat", "$dog", "train: 60 images", "40", "20", "test: 10 images", "10", "0"]
    train, test = (container.patches for container in figure.axes[0].containers)
    widths = [bar.get_width() for bar in (*train, *test)]
    assert widths == pytest.approx([widths[0], widths[0] / 2, widths[0] / 4, 0])  # one scale for all splits
    assert train[0].get_y() > train[1].get_y()
    assert png(figure).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("counts", "title"),
    [
        ({"train": [160, 150], "validation": [30, 28], "test": [40, 41]}, "pets: images of each class"),
        ({"test": [40, 41]}, "a folder with a name that is quite long: images of each class"),
    ],
)
def test_the_panels_of_few_classes_leave_no_empty_space(counts, title):
    figure = draw_balance(counts, ("cats", "dogs"), title=title)
    FigureCanvasAgg(figure).draw()
    inch = figure.dpi
    ends = [text.get_window_extent().x1 / inch for text in figure.axes[0].texts]
    assert figure.get_figwidth() - 0.6 < max(ends) < figure.get_figwidth()
    begins = [group[0].get_x() for group in figure.axes[0].containers]
    written = [text for text in figure.axes[0].texts if text.get_text().split(":")[0] in counts]
    headings = [text.get_window_extent().x1 / inch for text in written]
    bars = [max(bar.get_x() + bar.get_width() for bar in group) for group in figure.axes[0].containers]
    ends = [max(pair) for pair in zip(headings, bars, strict=True)]
    assert all(0.2 < begin - end < 1.5 for end, begin in zip(ends, begins[1:], strict=False))


@pytest.mark.parametrize("classes", [30, 101, 1000])
def test_many_classes_fit_a_page(classes):
    counts = np.random.default_rng(0).integers(0, 90, classes)
    figure = draw_balance({"test": counts.tolist()}, [f"class {k}" for k in range(classes)], title="T")
    assert figure.get_figheight() <= 13.01
    named = [text for text in texts(figure) if text.startswith("class ")]
    assert len(named) == (classes if classes < 130 else 0)
    widths = [bar.get_width() for bar in figure.axes[0].containers[0].patches]
    if not named:
        assert widths == sorted(widths, reverse=True)
    assert png(figure).startswith(b"\x89PNG")


def test_no_images_at_all_can_be_drawn():
    assert texts(draw_balance({"test": [0]}, ("a",), title="T")) == ["T", "a", "test: 0 images", "0"]


def test_what_does_not_fit_is_refused():
    with raises(ValueError, "bin"):
        draw_reliability([], title="T")
    with raises(ValueError, "train 2", "test 1"):
        draw_balance({"train": [1, 2], "test": [1]}, ("a", "b"), title="T")
    with raises(ValueError, 3):
        draw_balance({}, ("a", "b", "c"), title="T")
