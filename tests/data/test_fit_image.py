"""Images from memory are fitted as their files are."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from factories import noise, raises, write_image
from resnet50.data.images import fit_image, read_image

SIZE = {"height": 40, "width": 30}


@pytest.fixture(params=["JPEG", "PNG", "TIFF", "GIF"])
def path(request, tmp_path):
    """An image that its EXIF turns, where its format has EXIF."""
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {} if request.param == "GIF" else {"exif": exif}
    return write_image(tmp_path / "image", noise(50, 90, 3), format=request.param, **options)


def test_bytes_and_files_give_the_pixels_of_the_path(path):
    expected = read_image(path, **SIZE)
    assert np.ptp(expected) > 100
    with path.open("rb") as file:
        for image in (str(path), path.read_bytes(), bytearray(path.read_bytes()), BytesIO(path.read_bytes()), file):
            np.testing.assert_array_equal(fit_image(image, **SIZE), expected)


def test_a_pillow_image_gives_the_same_and_stays_as_it_was(path):
    expected = read_image(path, **SIZE)
    with Image.open(path) as image:
        fitted = fit_image(image, **SIZE)
        assert sorted(image.size) == [50, 90]
        np.testing.assert_array_equal(fit_image(image, **SIZE), fitted)
    assert np.abs(fitted.astype(int) - expected).mean() < 1


def test_pixels_of_the_right_size_stay_as_they_are():
    pixels = noise(40, 30, 3)
    for image in (
        pixels,
        pixels.astype(np.float32),
        pixels.astype(np.int64),
        np.maximum(pixels - 0.4, 0),
        Image.fromarray(pixels),
    ):
        fitted = fit_image(image, **SIZE)
        np.testing.assert_array_equal(fitted, pixels)
        assert fitted.dtype == np.uint8
        assert fitted.flags.writeable


def test_pixels_that_are_no_numbers_are_refused():
    with raises(ValueError, 0, 255, "bool"):
        fit_image(np.zeros((4, 4), bool), **SIZE)


def test_an_error_has_the_name_that_was_given():
    with raises(ValueError, "image 7"):
        fit_image(b"no image", **SIZE, name="image 7")
    with raises(ValueError, "image 7"):
        fit_image(BytesIO(b""), **SIZE, name="image 7")
