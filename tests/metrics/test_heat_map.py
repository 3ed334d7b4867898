"""Heat maps of a compiled classifier, against Grad-CAM by gradients."""

from __future__ import annotations

import numpy as np
import pytest

from factories import classifier, noise, raises, tiny_model
from resnet50.inference.classifier import Classifier
from resnet50.metrics.grad_cam import grad_cam
from resnet50.metrics.heat_map import enlarge, heat_maps, map_size

IMAGES = noise(3, 64, 96, 3)


def compiled(tmp_path, model):
    classifier(model).save(tmp_path / "model.keras")
    return Classifier.load(tmp_path / "model.keras")


@pytest.mark.parametrize("head", ["linear", "norm", "mlp"])
@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_a_map_is_that_of_grad_cam(tmp_path, head, batch_size):
    model = tiny_model(seed=1, size=(64, 96), head=head)
    classes = np.array([2, 0, 1])
    found = heat_maps(compiled(tmp_path, model), IMAGES, classes, batch_size=batch_size)
    assert (found.dtype, found.shape) == (np.float32, (3, 64, 96))
    np.testing.assert_allclose(found, grad_cam(model, IMAGES, classes), atol=1e-4)


def test_linear_heads_need_no_keras(tmp_path, monkeypatch):
    loaded = compiled(tmp_path, tiny_model(seed=1, size=(64, 96)))
    monkeypatch.setattr("resnet50.inference.classifier._load_keras", None)
    assert heat_maps(loaded, IMAGES, np.arange(3)).max() == 1


@pytest.mark.parametrize("classes", [[0, 1], [0, 1, 3], [-1, 0, 0], [0.0, 1.0, 2.0]])
def test_there_must_be_a_class_for_each_image(tmp_path, classes):
    with raises(ValueError):
        heat_maps(compiled(tmp_path, tiny_model(seed=1, size=(64, 96))), IMAGES, np.array(classes))


def test_a_map_is_enlarged_and_scaled_to_1():
    large = enlarge(np.array([[0, 2.0], [0, 0]], np.float32), (4, 6))
    assert (large.shape, large.max()) == ((4, 6), 1)
    assert large[0, -1] == 1
    assert not enlarge(np.zeros((2, 2), np.float32), (4, 6)).any()


@pytest.mark.parametrize(("options", "expected"), [({}, (4, 5)), ({"head": "mlp"}, (4, 5))])
def test_the_cells_of_a_map_are_counted(options, expected, tmp_path):
    """Compiled, and by Keras, which computes the maps of other heads."""
    classifier(tiny_model(size=(32, 40), **options)).save(tmp_path / "m.keras")
    for runtime in (None, "keras"):
        assert map_size(Classifier.load(tmp_path / "m.keras", runtime=runtime)) == expected
