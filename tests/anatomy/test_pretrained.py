from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from factories import TINY_STAGES, noise, raises, tiny_model
from resnet50 import dissect, save_weights
from resnet50.anatomy import pretrained
from resnet50.anatomy.pretrained import open_pretrained
from resnet50.conventions import V1_5
from resnet50.weights.registry import imagenet_classes


@pytest.fixture
def tiny(monkeypatch):
    """A network of 14 layers stands in table 1."""
    monkeypatch.setattr(pretrained, "TABLE_1", {14: TINY_STAGES})
    monkeypatch.setattr(pretrained, "_IMAGE_SIZE", 48)


def write(path, classes):
    model = tiny_model(classes, size=(48, 48), conventions=V1_5, normalization="torch")
    save_weights(model, path)
    return model


def test_a_file_of_weights_is_a_classifier_and_is_taken_apart(tiny, tmp_path):
    path = tmp_path / "tiny.safetensors"
    model = write(path, 1000)
    found = open_pretrained(str(path))
    images = noise(2, 48, 48, 3)
    np.testing.assert_allclose(found.probabilities(images), model.predict(images, verbose=0), atol=1e-6)
    assert found.class_names == imagenet_classes()
    anatomy = dissect(path)
    assert (anatomy.name, len(anatomy.parts), len(anatomy.left_out)) == ("tiny.safetensors", 6, 1)


def test_outputs_without_names_are_numbered(tiny, tmp_path):
    write(tmp_path / "tiny.safetensors", 3)
    assert open_pretrained(str(tmp_path / "tiny.safetensors")).class_names == ("class 0", "class 1", "class 2")


def test_another_table_is_refused(tmp_path):
    path = tmp_path / "tiny.safetensors"
    write(path, 3)
    with raises(ValueError, path, 18, 152, 14):
        open_pretrained(str(path))


def test_another_network_is_refused(monkeypatch):
    monkeypatch.setattr(pretrained, "read_weights", lambda weights: SimpleNamespace(arrays={"dense": []}))
    with raises(ValueError, "vgg16.h5", "another network") as caught:
        open_pretrained("vgg16.h5")
    assert "None" not in str(caught.value)
