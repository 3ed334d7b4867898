"""Sheets of images: the place of each image and the words below it."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from factories import dataset, png, raises, texts
from resnet50.data.dataset import Dataset
from resnet50.plots.images import draw_contact_sheet, draw_predictions


def labeled(labels: list[int], names: tuple[str, ...] = ("cat", "$dog", "cow")) -> Dataset:
    """Images of one color, which is ten times their index."""
    images = np.zeros((len(labels), 4, 6, 3), "uint8")
    images[...] = 10 * np.arange(len(labels))[:, None, None, None]
    return dataset(labels, names, images=images, name="Farm")


def columns(figure: Figure) -> list[list[int]]:
    """Colors of the images, a list for a column from the left, each from the top."""
    tops: dict[float, list[tuple[float, int]]] = {}
    for image in figure.axes[0].images:
        left, _, _, top = image.get_extent()
        tops.setdefault(round(left, 3), []).append((-top, int(image.get_array()[0, 0, 0])))
    return [[color for _, color in sorted(tops[left])] for left in sorted(tops)]


def test_a_contact_sheet_has_a_column_per_class_in_the_order_of_the_dataset():
    figure = draw_contact_sheet(labeled([2, 0, 2, 1, 0, 2]), rows=2)
    assert columns(figure) == [[10, 40], [30], [0, 20]]
    title, *names = texts(figure)
    assert names == ["cat", "$dog", "cow"]
    assert "Farm" in title
    assert re.findall(r"\d+", title) == ["6", "3"]
    left, right, bottom, top = figure.axes[0].images[0].get_extent()
    assert (right - left) / (top - bottom) == pytest.approx(6 / 4)
    assert png(figure).startswith(b"\x89PNG")


def test_a_contact_sheet_takes_a_title_and_a_dataset_without_images():
    figure = draw_contact_sheet(labeled([]), title="Nothing")
    assert texts(figure)[0] == "Nothing"
    assert columns(figure) == []
    png(figure)


def test_long_class_names_are_cut_to_their_column():
    figure = draw_contact_sheet(labeled([0], ("n" * 60, "b")), rows=1)
    assert texts(figure)[1].endswith("…")
    png(figure)


def test_predictions_mark_what_is_wrong():
    probabilities = np.array([[0.9, 0.1, 0.0], [0.2, 0.2, 0.6]])
    figure = draw_predictions(labeled([0, 1]), probabilities, title="Some")
    assert texts(figure) == ["Some", "✓ cat, 90%", "true: $dog", "✗ cow, 60%"]
    assert len(figure.axes[0].patches) == 1
    assert png(figure).startswith(b"\x89PNG")


def test_predictions_show_the_first_and_say_how_many_there_are():
    figure = draw_predictions(labeled([0] * 20), np.tile([1.0, 0, 0], (20, 1)), title="All", limit=11)
    assert sorted(color for column in columns(figure) for color in column) == [10 * index for index in range(11)]
    title = texts(figure)[0]
    assert title.startswith("All")
    assert re.findall(r"\d+", title) == ["11", "20"]


def test_a_second_image_stands_beside_each_over_the_name_of_its_file():
    images = replace(labeled([0, 1]), paths=("far/away/p0.jpg", "p1.jpg"))
    figure = draw_predictions(images, 0.9 * np.eye(3)[[1, 1]], title="Some", beside=255 - images.images)
    assert texts(figure) == ["Some", "true: cat", "✗ $dog, 90%", "p0.jpg", "✓ $dog, 90%", "p1.jpg"]
    assert sorted(color for column in columns(figure) for color in column) == [0, 10, 245, 255]
    places = {int(image.get_array()[0, 0, 0]): image.get_extent() for image in figure.axes[0].images}
    assert places[0][1] < places[255][0] < places[10][0] < places[245][0]
    assert places[0][2:] == places[255][2:]
    assert png(figure).startswith(b"\x89PNG")


def test_a_note_stands_below_the_title():
    note = "Beside each image: Grad-CAM at conv4_block6_out, 4 x 4 cells, 16 pixels apart"
    images = labeled([0, 1])
    figure = draw_predictions(images, np.eye(3)[[1, 1]], title="Some", beside=images.images, note=note)
    title, below, *_ = figure.axes[0].texts
    assert (title.get_text(), below.get_text()) == ("Some", note)
    highest = max(image.get_extent()[3] for image in figure.axes[0].images)
    assert title.get_position()[1] > below.get_position()[1] > highest
    assert below.get_window_extent().x1 / figure.dpi <= figure.get_size_inches()[0]


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("short.jpg", ["short.jpg"]),
        ("I_Basalt_03_120.jpg", ["I_Basalt_03_", "120.jpg"]),
        ("cat on a mat.jpeg", ["cat on a ", "mat.jpeg"]),
        ("xyz.longersuffix", ["xyz.", "longersuffix"]),
    ],
)
def test_a_long_file_name_is_broken_after_a_separator(name, lines):
    assert caption(name) == lines


@pytest.mark.parametrize(
    "name", ["x" * 50 + "_1.jpeg", "IMG_20260412_153012_" + "HDR" * 9 + "_1.jpeg", "x" * 50 + "1.jpeg"]
)
def test_a_file_name_that_is_too_long_loses_its_middle_and_keeps_its_suffix(name):
    *_, last = lines = caption(name)
    assert len(lines) <= 2
    assert "".join(lines).startswith(name[:3])
    assert last.endswith("1.jpeg")
    assert last.count("…") == 1


@pytest.mark.parametrize("name", ["rendered signs test #17 (seed 0)", "photos_of_the_garden_in_spring.h5#17"])
def test_the_place_of_an_image_in_a_file_keeps_its_number(name):
    first, second = caption(name)
    assert name.startswith(first[:3])
    assert second.startswith("#17")


def caption(name: str) -> list[str]:
    """The lines below the second image."""
    images = replace(labeled([0]), paths=(name,))
    return texts(draw_predictions(images, np.eye(3)[[0]], title="T", beside=images.images))[2:]


def test_no_predictions_say_so():
    figure = draw_predictions(labeled([]), np.zeros((0, 3)), title="The mistakes")
    title, words = texts(figure)
    assert title == "The mistakes"
    assert words
    assert png(figure).startswith(b"\x89PNG")


def test_what_does_not_fit_is_refused():
    with raises(ValueError, "rows", 1, 0):
        draw_contact_sheet(labeled([0]), rows=0)
    with raises(ValueError, "Farm", "(1, 3)", "(2, 3)"):
        draw_predictions(labeled([0]), np.zeros((2, 3)), title="T")
    with raises(ValueError, "Farm", "(1, 4, 6, 3)", "(2, 4, 6, 3)"):
        draw_predictions(labeled([0]), np.zeros((1, 3)), title="T", beside=np.zeros((2, 4, 6, 3), "uint8"))
    with raises(ValueError, "limit", 1, 0):
        draw_predictions(labeled([0]), np.zeros((1, 3)), title="T", limit=0)
