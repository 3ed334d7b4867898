"""A row of an image and the evidence for classes."""

from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pytest

from factories import noise, raises
from resnet50.plots.explain import draw_explanation
from resnet50.plots.heat import overlay


def test_an_explanation_is_the_image_and_an_overlay_for_each_class():
    image = noise(30, 20, 3, seed=1)
    heats = np.zeros((2, 15, 10), "float32")
    heats[0, 3, 4] = 1
    figure = draw_explanation(image, heats, ["a $dollar", "n" * 50], [0.875, 0.1])
    drawn = [np.asarray(shown.get_array()) for shown in figure.axes[0].images]
    assert len(drawn) == 3
    for pixels, expected in zip(drawn, (image, overlay(image, heats[0]), overlay(image, heats[1])), strict=True):
        np.testing.assert_array_equal(pixels, expected)
    words = [text.get_text() for text in figure.axes[0].texts if text.get_text()]
    assert words[1:4] == ["a $dollar", "87.5%", "n" * 31 + "…"]
    assert len(words) == 5
    assert words[4].startswith("10.0%")
    assert words[4] != "10.0%"  # and that there is no evidence for it
    edges = [shown.get_extent() for shown in figure.axes[0].images]
    for left, right, bottom, top in edges:
        assert (right - left) / (top - bottom) == pytest.approx(20 / 30)
    assert edges[0][1] < edges[1][0] < edges[1][1] < edges[2][0]
    assert edges[2][1] < figure.get_size_inches()[0]
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=40)
    assert buffer.getvalue().startswith(b"\x89PNG")


def test_a_note_stands_below_the_images():
    image = noise(30, 20, 3, seed=1)
    note = "Grad-CAM at a layer of a long name, 4 x 4 cells, 16 pixels apart, and more than fits below two images"
    figure = draw_explanation(image, np.zeros((1, 30, 20)), ["a"], [0.5], note=note)
    (text,) = (text for text in figure.axes[0].texts if text.get_text() == note)
    lowest = min(shown.get_extent()[2] for shown in figure.axes[0].images)
    assert text.get_position()[1] < lowest
    right = text.get_window_extent().x1 / figure.dpi
    assert right <= figure.get_size_inches()[0]


def test_there_must_be_a_name_for_each_map():
    with raises(ValueError, 2, 1):
        draw_explanation(np.zeros((4, 4, 3), "uint8"), np.zeros((2, 4, 4)), ["a"], [0.5, 0.5])


def test_needs_no_pyplot():
    script = "import sys, resnet50.plots.explain; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
