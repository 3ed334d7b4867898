"""Confusion matrices from two to hundreds of classes."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from factories import png, raises, texts
from resnet50.plots.confusion import draw_confusion

NAN = float("nan")


def shades(axes) -> dict[tuple[int, int], float]:
    """The shade of each cell that has one, by row and column counted from the upper left of the frame."""
    (squares,) = axes.collections[:1]
    boxes = [path.get_extents() for path in squares.get_paths()]
    frame = axes.patches[0].get_bbox()
    cell = boxes[0].width
    places = [(round((frame.y1 - box.y1) / cell), round((box.x0 - frame.x0) / cell)) for box in boxes]
    return dict(zip(places, squares.get_facecolor()[:, 3].tolist(), strict=True))


def test_a_confusion_of_two_classes_shades_by_row():
    figure = draw_confusion(np.array([[3, 1], [0, 0]]), ["cat", "$dog"], title="T")
    (axes,) = figure.axes
    assert shades(axes) == {(0, 0): 0.75, (0, 1): 0.25}
    places = {text.get_position(): text.get_text() for text in axes.texts if text.get_text() in ("3", "1", "0")}
    ordered = [label for _, label in sorted(places.items(), key=lambda item: (-item[0][1], item[0][0]))]
    assert ordered == ["3", "1", "0", "0"]
    assert texts(figure).count("cat") == texts(figure).count("$dog") == 2
    assert {"True label", "Predicted label", "T"} <= set(texts(figure))
    assert png(figure).startswith(b"\x89PNG")


def test_a_confusion_of_thirty_classes_leaves_zeros_blank_but_on_the_diagonal():
    counts = np.eye(30, dtype=int) * 12345
    counts[4, 4], counts[4, 9] = 0, 7
    figure = draw_confusion(counts, [f"a rather long class name {index}" for index in range(30)], title="T")
    written = texts(figure)
    assert (written.count("12345"), written.count("7"), written.count("0")) == (29, 1, 1)
    assert png(figure).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("counts", "values"),
    [
        (np.zeros((2, 3)), (2, "(2, 3)")),
        (np.zeros((3, 3)), (2, "(3, 3)")),
        (np.array([[1, -2], [0, 1]]), (-2,)),
        (np.array([[1, NAN], [0, 1]]), (NAN,)),
    ],
)
def test_confusions_that_do_not_fit_are_refused(counts, values):
    with raises(ValueError, "confusion", *values):
        draw_confusion(counts, ["a", "b"], title="T")


@pytest.mark.parametrize(("classes", "inches", "named"), [(30, 14, True), (101, 18, True), (300, 16, False)])
def test_a_matrix_of_many_classes_stays_on_a_page(classes, inches, named):
    counts = 9 * np.eye(classes, dtype=int)
    counts[0, classes - 1] = 123
    names = [f"class {k}" for k in range(classes)]
    figure = draw_confusion(counts, names, title="T")
    assert max(figure.get_size_inches()) < inches
    written = texts(figure)
    assert written.count("9") == (classes if named else 0)
    assert written.count("123") == (1 if named else 0)
    assert written.count("0") == 0
    assert written.count("class 7") == (2 if named else 0)
    axes = figure.axes[0]
    strength = shades(axes)[0, classes - 1] if named else float(axes.images[0].get_array()[0, classes - 1])
    assert strength == pytest.approx(123 / 132 if classes == 30 else (123 / 132) ** 0.5)
    if named:
        FigureCanvasAgg(figure).draw()
        boxes = {text.get_text(): text.get_window_extent() for text in axes.texts if text.get_rotation() == 0}
        cell = axes.patches[0].get_width() / classes * figure.dpi
        assert boxes["123"].width < cell
        assert boxes["class 7"].height < cell * 1.05


def test_without_a_title_the_matrix_is_all():
    titled, bare = (draw_confusion(np.eye(2), ["cat", "dog"], title=title) for title in ("T", None))
    assert texts(titled) == [*texts(bare), "T"]
    assert titled.get_figheight() > bare.get_figheight()
