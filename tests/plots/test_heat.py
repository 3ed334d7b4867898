"""Heat maps over an image."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from factories import noise, raises
from resnet50.plots.heat import color_bar, overlay, side_by_side


def test_without_heat_an_image_is_dim_gray():
    image = noise(6, 8, 3)
    shown = overlay(image, np.zeros((6, 8)))
    assert shown.dtype == np.uint8
    assert shown.shape == (6, 8, 3)
    assert np.ptp(shown.astype(int), axis=2).max() <= 2
    lightness = image @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(shown[..., 0], 0.6 * lightness, atol=2)


@pytest.mark.parametrize("gray", [0, 128, 255])
def test_heat_shows_on_dark_and_bright_images_and_more_of_it_is_brighter(gray):
    image = np.full((4, 101, 3), gray, "uint8")
    shown = overlay(image, np.tile(np.linspace(0, 1, 101), (4, 1))).astype(float)
    assert (shown[0] == shown[3]).all()
    lightness = shown[0] @ [0.299, 0.587, 0.114]
    assert lightness[100] - lightness[0] > 60
    red, green, blue = shown[0].T
    assert (red[20:81] - green[20:81] > 20).all()  # violet and red
    assert (blue[:31] >= green[:31]).all()
    assert green[90] - blue[90] > 40  # yellow at the end


def test_a_small_heat_map_is_enlarged():
    image = np.full((40, 60, 3), 128, "uint8")
    shown = overlay(image, np.array([[0.0, 1.0], [0.0, 0.0]]))
    assert shown.shape == (40, 60, 3)
    brightest = np.unravel_index(shown.sum(axis=2).argmax(), (40, 60))
    assert brightest[0] < 12
    assert brightest[1] > 42
    assert shown[35, 5].tolist() == overlay(image, np.zeros((1, 1)))[0, 0].tolist()


def test_the_color_bar_has_the_colors_of_an_overlay():
    bar = color_bar(5, 2)
    assert (bar.dtype, bar.shape) == (np.uint8, (2, 5, 3))
    gray = np.full((1, 1, 3), 128, "uint8")
    for column, heat in enumerate((0, 0.25, 0.5, 0.75, 1)):
        assert bar[1, column].tolist() == overlay(gray, np.full((1, 1), heat))[0, 0].tolist()


def test_the_image_still_shows_under_the_hottest_place():
    image = np.zeros((4, 4, 3), "uint8")
    image[:, 2:] = 255
    shown = overlay(image, np.ones((4, 4))).astype(int)
    assert (shown[:, 2:] - shown[:, :2]).min() > 50


@pytest.mark.parametrize(
    ("image", "heat", "values"),
    [
        (np.zeros((4, 4, 3)), np.zeros((4, 4)), ("uint8 (height, width, 3)", "float64 (4, 4, 3)")),
        (np.zeros((4, 4), "uint8"), np.zeros((4, 4)), ("uint8 (height, width, 3)", "uint8 (4, 4)")),
        (np.zeros((4, 4, 3), "uint8"), np.full((2, 2), 1.5), ("(h, w)", "0..1", "(2, 2)", "1.5..1.5")),
        (np.zeros((4, 4, 3), "uint8"), np.full((1, 2, 2), 0.5), ("(h, w)", "0..1", "(1, 2, 2)", "0.5..0.5")),
    ],
)
def test_refuses_other_arrays(image, heat, values):
    with raises(ValueError, *values):
        overlay(image, heat)


def test_images_stand_in_a_row():
    first, second = noise(4, 3, 3), noise(4, 5, 3, seed=1)
    row = side_by_side([first, second], gap=2)
    assert (row.dtype, row.shape) == (np.uint8, (4, 10, 3))
    np.testing.assert_array_equal(row[:, :3], first)
    np.testing.assert_array_equal(row[:, 5:], second)
    assert (row[:, 3:5] == 255).all()
    np.testing.assert_array_equal(side_by_side([first]), first)


def test_needs_no_matplotlib():
    script = "import sys, resnet50.plots.heat; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
