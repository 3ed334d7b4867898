"""What becomes of a pixel before the network sees it, against formulas written here."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from factories import noise, raises
from resnet50.weights import NORMALIZATIONS, normalize
from resnet50.weights.normalization import model_normalization


@pytest.fixture
def pixels() -> np.ndarray:
    pixels = noise(2, 5, 7, 3, seed=3)
    pixels[0, 0, 0], pixels[0, 0, 1] = 0, 255
    return pixels


def normalised(pixels: np.ndarray, name: str, *, dtype: str = "float32") -> np.ndarray:
    x = keras.Input((None, None, pixels.shape[-1]), dtype=dtype)
    return np.asarray(keras.Model(x, normalize(x, name))(pixels))


def torch_formula(pixels: np.ndarray) -> np.ndarray:
    unit = pixels.astype("float64") / 255
    return (unit - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]


def caffe_formula(pixels: np.ndarray) -> np.ndarray:
    blue_first = pixels.astype("float64")[..., [2, 1, 0]]
    return blue_first - [103.939, 116.779, 123.68]


def symmetric_formula(pixels: np.ndarray) -> np.ndarray:
    return pixels.astype("float64") / 127.5 - 1


def unit_formula(pixels: np.ndarray) -> np.ndarray:
    return pixels.astype("float64") / 255


FORMULAS = {"symmetric": symmetric_formula, "unit": unit_formula, "caffe": caffe_formula, "torch": torch_formula}


@pytest.mark.parametrize("name", ["symmetric", "unit", "caffe", "torch"])
@pytest.mark.parametrize("given", ["uint8", "float32"])
def test_each_row_is_its_formula(name, given, pixels):
    actual = normalised(pixels.astype(given), name, dtype=given)
    expected = FORMULAS[name](pixels)
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)
    assert actual.dtype == np.float32
    assert actual.shape == pixels.shape


def test_symmetric_goes_from_minus_one_to_one(pixels):
    actual = normalised(pixels, "symmetric")
    assert (actual.min(), actual.max()) == (-1, 1)


def test_caffe_is_what_keras_applications_does(pixels):
    theirs = keras.applications.resnet.preprocess_input(pixels.astype("float32").copy())  # it works in place
    np.testing.assert_allclose(normalised(pixels, "caffe"), theirs, rtol=1e-6, atol=1e-4)


def test_there_is_a_formula_for_every_row():
    assert set(NORMALIZATIONS) == set(FORMULAS)


@pytest.mark.parametrize("name", ["symmetric", "unit", "caffe", "torch"])
def test_pixels_are_not_changed_in_place(name, pixels):
    floats = pixels.astype("float32")
    normalised(floats, name)
    np.testing.assert_array_equal(floats, pixels)


@pytest.mark.parametrize("name", ["symmetric", "unit", "caffe", "torch"])
@pytest.mark.parametrize("given", ["uint8", "float32"])
def test_it_is_computed_in_float32_under_mixed_precision(name, given, pixels):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        x = keras.Input((None, None, 3), dtype=given)
        model = keras.Model(x, normalize(x, name))
    finally:
        keras.config.set_dtype_policy("float32")
    actual = np.asarray(model(pixels.astype(given)))
    np.testing.assert_allclose(actual, FORMULAS[name](pixels), rtol=1e-5, atol=1e-5)


# means of three channels and of three deviations, in grey levels
AVERAGES = {
    "unit": (0, 255),
    "symmetric": (127.5, 127.5),
    "caffe": ((103.939 + 116.779 + 123.68) / 3, 1),
    "torch": (255 * (0.485 + 0.456 + 0.406) / 3, 255 * (0.229 + 0.224 + 0.225) / 3),
}


@pytest.mark.parametrize("name", ["symmetric", "unit", "caffe", "torch"])
@pytest.mark.parametrize("channels", [1, 2, 4, 5])
def test_other_channels_get_the_average_and_keep_their_order(name, channels):
    pixels = noise(2, 5, 7, channels, seed=4).astype("float32")
    mean, deviation = AVERAGES[name]
    np.testing.assert_allclose(normalised(pixels, name), (pixels - mean) / deviation, rtol=1e-4, atol=1e-4)


def graph(channels: int, *layers) -> keras.Model:
    x = inputs = keras.Input((8, 9, channels))
    for layer in layers:
        x = layer(x)
    return keras.Model(inputs, keras.layers.Dense(2)(x))


@pytest.mark.parametrize("name", ["symmetric", "unit", "caffe", "torch"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_graph_tells_its_row(name, channels):
    assert model_normalization(graph(channels, lambda x: normalize(x, name))) == name


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ((), None),
        ((keras.layers.Rescaling(1 / 127.5, -1),), "symmetric"),
        ((keras.layers.Rescaling(1 / 255),), "unit"),
        ((keras.layers.Rescaling(1 / 256),), "unknown"),
        ((keras.layers.Normalization(mean=127.5, variance=127.5**2),), "unknown"),
        ((keras.layers.Rescaling(1 / 127.5, -1), keras.layers.Rescaling(2.0)), "unknown"),
        ((lambda x: keras.ops.flip(x, -1), keras.layers.Rescaling(1 / 127.5, -1)), "unknown"),
        ((keras.layers.Rescaling((1.0, 1.0, 1.0), (-103.939, -116.779, -123.68)),), "unknown"),  # without the flip
        ((lambda x: keras.ops.flip(x, -1), keras.layers.Rescaling((1.0,) * 3, (-103.9, -116.779, -123.68))), "unknown"),
    ],
)
def test_what_is_no_row_is_not_taken_for_one(layers, expected):
    assert model_normalization(graph(3, *layers)) == expected


@pytest.mark.parametrize("name", ["zscore", "", None])
def test_an_unknown_row_is_refused_with_the_names_of_those_there_are(name):
    with raises(ValueError, "normalization", *FORMULAS, repr(name)):
        normalize(keras.Input((8, 8, 3)), name)
