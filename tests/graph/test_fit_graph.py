"""Fitting inside the graph, against Pillow's."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from resnet50.data.fit import Fit
from resnet50.data.resizing import fit_pixels
from resnet50.graph.fit_graph import onnx_fit

FITS = (
    Fit(),
    Fit(crop_ratio=0.875),
    Fit(resampling="bilinear"),
    Fit(mode="stretch"),
    Fit(mode="pad"),
    Fit(mode="pad", pad_color="#10ff80"),
    Fit(mode="pad", resampling="bilinear"),
)


def photo(height, width, seed=0):
    """Soft shapes with hard edges, as a photo has them."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (9, 11, 3)).astype(np.uint8))
    pixels = np.array(coarse.resize((width, height), Image.Resampling.BICUBIC))
    pixels[height // 3 : height // 2, width // 4 : width // 2] = 250
    return pixels


def fitted(session, image):
    return session.run(None, {"image": image})[0]


@pytest.mark.parametrize("size", [(48, 48), (32, 40)])
@pytest.mark.parametrize("fit", FITS, ids=str)
def test_an_image_of_any_size_is_fitted_as_by_pillow(fit, size):
    session = onnxruntime.InferenceSession(onnx_fit(size, fit).SerializeToString(), providers=["CPUExecutionProvider"])
    for shape in ((500, 333), (100, 700), (31, 17), size, (1, 5), (60, 30), (401, 400)):
        image = photo(*shape)
        found = fitted(session, image)
        assert (found.dtype, found.shape) == (np.float32, (1, *size, 3))
        expected = fit_pixels(Image.fromarray(image), size[::-1], fit).astype(float)
        difference = np.abs(found[0] - expected)
        assert np.mean(difference <= 2) > 0.99, shape  # at corners, the order of the two passes shows
        assert difference.mean() < 0.3, shape


def test_an_image_of_the_size_stays_as_it_is():
    image = np.random.default_rng(0).integers(0, 256, (32, 40, 3)).astype(np.uint8)
    session = onnxruntime.InferenceSession(
        onnx_fit((32, 40), Fit()).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    np.testing.assert_array_equal(fitted(session, image)[0], image)


def test_a_photo_is_fitted_as_by_pillow(shared_data):
    with Image.open(shared_data / "photos" / "my_image_coursera.jpg") as file:
        image = np.asarray(file.convert("RGB"))
    for fit in (Fit(), Fit(crop_ratio=0.875)):
        model = onnx_fit((224, 224), fit).SerializeToString()
        found = fitted(onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]), image)[0]
        expected = fit_pixels(Image.fromarray(image), (224, 224), fit).astype(float)
        assert np.abs(found - expected).max() <= 2
