import io

import numpy as np
import pytest
from PIL import Image, PngImagePlugin, TiffImagePlugin

from resnet50.data.value_range import is_deep, measure_range, sample_values, to_8_bits


def sample(values, kind="TIFF", **saved):
    file = io.BytesIO()
    Image.fromarray(values).save(file, kind, **saved)
    image = Image.open(file)
    assert is_deep(image)
    return sample_values(image)


def gray(low, high, dtype, seed=0):
    drawn = np.random.default_rng(seed).uniform(low, high, (50, 50))
    drawn[0, :2] = low, high
    return drawn.astype(dtype)


@pytest.mark.parametrize(
    ("low", "high", "dtype", "expected"),
    [
        (0, 1, np.uint16, (0, 1)),
        (0, 255, np.uint16, (0, 255)),
        (10, 900, np.uint16, (0, 1023)),
        (0, 4095, np.uint16, (0, 4095)),
        (100, 5000, np.uint16, (0, 16383)),
        (0, 65535, np.uint16, (0, 65535)),
        (0, 0.7, np.float32, (0, 1)),
        (0, 250, np.float32, (0, 255)),
    ],
)
def test_the_smallest_usual_range_that_holds_the_pixels(low, high, dtype, expected):
    assert measure_range([sample(gray(low, high, dtype))]) == expected


@pytest.mark.parametrize(
    ("low", "high", "dtype"),
    [
        pytest.param(150.9, 260.4, np.float32, id="floats beyond 255"),
        pytest.param(-33, 69, np.float32, id="negative floats"),
        pytest.param(-1024, 3071, np.int32, id="negative whole numbers"),
        pytest.param(30000, 34000, np.uint16, id="far from zero"),
        pytest.param(0, 2_000_000, np.int32, id="32 bits"),
    ],
)
def test_both_ends_are_measured_where_no_usual_range_fits(low, high, dtype):
    assert measure_range([sample(gray(low, high, dtype))]) == pytest.approx((low, high), abs=0.005 * (high - low))


def test_large_values_that_differ_little_stay_apart():
    """float32 alone would round values near a billion to multiples of 64."""
    values = (10**9 + np.arange(0, 256)).reshape(16, 16).astype(np.int32)
    pixels = np.asarray(to_8_bits(Image.fromarray(values), (1e9, 1e9 + 255)))
    assert pixels.ravel().tolist() == list(range(256))


def test_a_rare_pixel_does_not_decide():
    values = gray(0, 1, np.float32)
    values[3, 3] = 1.0001
    assert measure_range([sample(values)]) == (0, 1)
    values = gray(500, 4000, np.uint16)
    values[3, 3] = 65535
    assert measure_range([sample(values)]) == (0, 4095)


def test_the_brightest_image_decides_for_all():
    samples = [sample(gray(0, 900, np.uint16, seed)) for seed in range(3)] + [sample(gray(0, 4000, np.uint16))]
    assert measure_range(samples) == (0, 4095)


def test_only_finite_pixels_count():
    values = gray(0, 200, np.float32)
    values[:10] = np.nan
    values[10, :5] = np.inf
    assert measure_range([sample(values)]) == (0, 255)
    assert measure_range([sample(np.full((4, 4), np.nan, np.float32))]) == (0, 1)


def test_equal_pixels_have_a_range():
    low, high = measure_range([sample(np.full((4, 4), -5, np.int32))])
    assert low < high


def test_no_images_have_no_range():
    assert measure_range([]) is None


def test_the_files_own_statement_comes_first():
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[281] = 2047
    stating = sample(gray(0, 800, np.uint16), tiffinfo=tags)
    assert measure_range([stating, stating]) == (0, 2047)
    assert measure_range([stating, sample(gray(0, 800, np.uint16))]) == (0, 1023)


def test_a_png_states_its_significant_bits():
    info = PngImagePlugin.PngInfo()
    info.add(b"sBIT", bytes([12]))
    assert measure_range([sample(gray(0, 800, np.uint16), "PNG", pnginfo=info)]) == (0, 4095)


def test_significant_bits_of_values_that_fill_sixteen_bits_are_no_range():
    """PNG's standard scales 12 significant bits to all 16: read as 0..4095, the image would be nearly white."""
    info = PngImagePlugin.PngInfo()
    info.add(b"sBIT", bytes([12]))
    assert measure_range([sample(gray(0, 65535, np.uint16), "PNG", pnginfo=info)]) == (0, 65535)


def test_a_statement_of_all_sixteen_bits_is_none():
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[281] = 65535
    assert measure_range([sample(gray(0, 4000, np.uint16), tiffinfo=tags)]) == (0, 4095)
