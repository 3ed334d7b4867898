from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from factories import classifier, noise, raises, texts, tiny_model, write_image
from resnet50.evaluation.explain import explain


@pytest.fixture
def image(tmp_path):
    return write_image(tmp_path / "thing.png", noise(90, 70, 3))


def test_the_most_probable_classes_come_first_with_a_map_each(image):
    model = classifier(tiny_model(3, size=(32, 32)))
    result = explain(model, image, top=2)
    ((first, second),) = ([name for name, _ in model.predict(image, top=2).top],)
    assert result.class_names == (first, second)
    assert list(result.probabilities) == sorted(result.probabilities, reverse=True)
    assert len(result.heats) == 2
    assert (result.feature_map.layer, result.feature_map.cells) == ("conv3_block2_out", (4, 4))
    assert result.heats.min() >= 0
    assert result.heats.max() <= 1


def test_a_small_image_is_enlarged_to_a_whole_multiple(image):
    result = explain(classifier(tiny_model(3, size=(32, 40))), image)
    assert result.image.dtype == np.uint8
    height, width, _ = result.image.shape
    assert (height % 32, width % 40) == (0, 0)
    assert max(height, width) >= 448
    assert len(result.class_names) == 3


@pytest.mark.parametrize("form", ["bytes", "file", "pillow", "pixels"])
def test_an_image_that_is_no_path_is_explained_alike(image, form):
    model = classifier(tiny_model(3, size=(32, 32)))
    content = image.read_bytes()
    pillow = Image.open(BytesIO(content))
    forms = {"bytes": content, "file": BytesIO(content), "pillow": pillow, "pixels": np.asarray(pillow)}
    found, expected = explain(model, forms[form]), explain(model, image)
    np.testing.assert_array_equal(found.image, expected.image)
    np.testing.assert_allclose(found.heats, expected.heats, atol=1e-6)


def test_the_layer_can_be_named(image):
    model = classifier(tiny_model(3, size=(32, 32)))
    found = explain(model, image, at="conv2_block2_out")
    assert (found.feature_map.layer, found.feature_map.cells) == ("conv2_block2_out", (8, 8))
    assert not np.allclose(found.heats, explain(model, image).heats)
    with raises(ValueError, "'conv9'", "conv2_block2_out"):
        explain(model, image, at="conv9")


def test_the_figure_says_how_coarse_the_map_is(image):
    written = texts(explain(classifier(tiny_model(3, size=(32, 32))), image, top=1).draw())
    assert any("conv3_block2_out, 4 x 4 cells, 8 pixels apart" in text for text in written)


def test_no_class_is_refused(image):
    with raises(ValueError, "top", 1, 0):
        explain(classifier(tiny_model(3)), image, top=0)
