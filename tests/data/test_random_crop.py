from __future__ import annotations

import math

import numpy as np
import pytest

from factories import noise
from resnet50.data.random_crop import Resize, draw_box


class Drawn:
    """Stands in for a generator: gives back these numbers, one after the other."""

    def __init__(self, *numbers):
        self.numbers = list(numbers)

    def uniform(self, low, high):
        return low + (high - low) * self.numbers.pop(0)

    def integers(self, end):
        return int(end * self.numbers.pop(0))


def test_a_box_has_the_drawn_area_and_aspect_ratio():
    # area 0.08 + 0.92 / 4 of 200 x 100, a square, then the left and upper place of 200 - 79 and 100 - 79
    assert draw_box(100, 200, 0.08, Drawn(0.25, 0.5, 0.5, 0.999)) == (61, 21, 61 + 79, 21 + 79)
    # the largest aspect ratio: 4 wide, 3 high
    assert draw_box(100, 200, 0.24, Drawn(0.0, 1.0, 0.0, 0.0)) == (0, 0, 80, 60)


def test_a_box_that_does_not_fit_is_drawn_again():
    assert draw_box(100, 100, 0.5, Drawn(1.0, 1.0, 0.0, 0.5, 0.0, 0.0)) == (0, 0, 71, 71)


@pytest.mark.parametrize(("height", "width", "box"), [(100, 1000, (433, 0, 566, 100)), (900, 90, (0, 390, 90, 510))])
def test_after_ten_draws_it_is_the_largest_centered_piece(height, width, box):
    assert draw_box(height, width, 0.9, Drawn(*[1.0, 0.5] * 10)) == box


def test_boxes_are_inside_and_of_the_published_distribution():
    generator = np.random.default_rng(0)
    boxes = np.array([draw_box(300, 400, 0.08, generator) for _ in range(2000)])
    left, top, right, bottom = boxes.T
    assert (left >= 0).all()
    assert (top >= 0).all()
    assert (right <= 400).all()
    assert (bottom <= 300).all()
    areas, ratios = (right - left) * (bottom - top) / 120_000, (right - left) / (bottom - top)
    assert areas.min() == pytest.approx(0.08, abs=0.005)
    assert areas.max() > 0.97
    assert abs(np.log(ratios)).max() == pytest.approx(math.log(4 / 3), abs=0.02)
    area, ratio = generator.uniform(0.08, 1, 20_000), np.exp(generator.uniform(*np.log([3 / 4, 4 / 3]), 20_000))
    fits = (np.sqrt(120_000 * area * ratio) <= 400) & (np.sqrt(120_000 * area / ratio) <= 300)
    assert np.mean(areas < 0.54) == pytest.approx(np.mean(area[fits] < 0.54), abs=0.03)


def test_a_piece_is_resized():
    image = np.zeros((20, 40, 3), np.uint8)
    image[5:10, 8:16] = (10, 200, 90)
    piece = Resize(12, 14).apply(image, (8, 5, 16, 10))
    assert piece.shape == (12, 14, 3)
    assert (piece == (10, 200, 90)).all()
    assert Resize(6, 6, "bilinear").apply(image).shape == (6, 6, 3)


def test_what_has_the_size_stays_as_it_is():
    image = noise(20, 40, 3)
    assert Resize(20, 40).apply(image) is image
