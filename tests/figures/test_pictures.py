"""Sheets of pictures: which picture stands where, under which words."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from factories import dataset, raises
from resnet50.data.split import Split
from resnet50.figures.pictures import draw_contact_sheet, draw_predictions


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=50, bbox_inches="tight")
    return buffer.getvalue()


def split(labels: list[int], names: tuple[str, ...] = ("cat", "$dog", "cow")) -> Split:
    """Pictures of one colour, which is ten times their index."""
    images = np.zeros((len(labels), 4, 6, 3), "uint8")
    images[...] = 10 * np.arange(len(labels))[:, None, None, None]
    return dataset(labels, names, images=images, name="Farm")


def columns(figure: Figure) -> list[list[int]]:
    """Colours of the pictures, a list for a column from the left, each from the top."""
    found: dict[float, list[tuple[float, int]]] = {}
    for image in figure.axes[0].images:
        left, _, _, top = image.get_extent()
        found.setdefault(round(left, 3), []).append((-top, int(image.get_array()[0, 0, 0])))
    return [[colour for _, colour in sorted(found[left])] for left in sorted(found)]


def test_a_contact_sheet_has_a_column_per_class_in_the_order_of_the_split():
    figure = draw_contact_sheet(split([2, 0, 2, 1, 0, 2]), rows=2)
    assert columns(figure) == [[10, 40], [30], [0, 20]]
    title, *names = texts(figure)
    assert names == ["cat", "$dog", "cow"]
    assert "Farm" in title
    assert re.findall(r"\d+", title) == ["6", "3"]
    left, right, bottom, top = figure.axes[0].images[0].get_extent()
    assert (right - left) / (top - bottom) == pytest.approx(6 / 4)
    assert png(figure).startswith(b"\x89PNG")


def test_a_contact_sheet_takes_a_title_and_a_split_without_pictures():
    figure = draw_contact_sheet(split([]), title="Nothing")
    assert texts(figure)[0] == "Nothing"
    assert columns(figure) == []
    png(figure)


def test_long_class_names_are_cut_to_their_column():
    figure = draw_contact_sheet(split([0], ("n" * 60, "b")), rows=1)
    assert texts(figure)[1].endswith("…")
    png(figure)


def test_predictions_mark_what_is_wrong():
    probabilities = np.array([[0.9, 0.1, 0.0], [0.2, 0.2, 0.6]])
    figure = draw_predictions(split([0, 1]), probabilities, title="Some")
    assert texts(figure) == ["Some", "✓ cat, 90%", "true: $dog", "✗ cow, 60%"]
    assert len(figure.axes[0].patches) == 1
    assert png(figure).startswith(b"\x89PNG")


def test_predictions_show_the_first_and_say_how_many_there_are():
    figure = draw_predictions(split([0] * 20), np.tile([1.0, 0, 0], (20, 1)), title="All", limit=11)
    assert sorted(colour for column in columns(figure) for colour in column) == [10 * index for index in range(11)]
    title = texts(figure)[0]
    assert title.startswith("All")
    assert re.findall(r"\d+", title) == ["11", "20"]


def test_a_second_picture_stands_beside_each_over_the_name_of_its_file():
    pictures = replace(split([0, 1]), sources=("far/away/p0.jpg", f"{'x' * 50}_1.jpg"))
    figure = draw_predictions(pictures, 0.9 * np.eye(3)[[1, 1]], title="Some", beside=255 - pictures.images)
    name = texts(figure)[-1]
    assert texts(figure)[:-1] == ["Some", "true: cat", "✗ $dog, 90%", "p0.jpg", "✓ $dog, 90%"]
    assert name.startswith("…")
    assert name.endswith("x_1.jpg")
    assert sorted(colour for column in columns(figure) for colour in column) == [0, 10, 245, 255]
    places = {int(image.get_array()[0, 0, 0]): image.get_extent() for image in figure.axes[0].images}
    assert places[0][1] < places[255][0] < places[10][0] < places[245][0]
    assert places[0][2:] == places[255][2:]
    assert png(figure).startswith(b"\x89PNG")


def test_no_predictions_say_so():
    figure = draw_predictions(split([]), np.zeros((0, 3)), title="The mistakes")
    title, words = texts(figure)
    assert title == "The mistakes"
    assert words
    assert png(figure).startswith(b"\x89PNG")


def test_what_does_not_fit_is_refused():
    with raises(ValueError, "rows", 1, 0):
        draw_contact_sheet(split([0]), rows=0)
    with raises(ValueError, "Farm", "(1, 3)", "(2, 3)"):
        draw_predictions(split([0]), np.zeros((2, 3)), title="T")
    with raises(ValueError, "Farm", "(1, 4, 6, 3)", "(2, 4, 6, 3)"):
        draw_predictions(split([0]), np.zeros((1, 3)), title="T", beside=np.zeros((2, 4, 6, 3), "uint8"))
    with raises(ValueError, "limit", 1, 0):
        draw_predictions(split([0]), np.zeros((1, 3)), title="T", limit=0)
