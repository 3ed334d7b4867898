"""Heat maps of a compiled classifier, against Grad-CAM by gradients, and where they are drawn."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from factories import classifier, noise, raises, tiny_model
from resnet50.graph.geometry import ReceptiveField
from resnet50.inference.classifier import Classifier
from resnet50.metrics.grad_cam import grad_cam
from resnet50.metrics.heat_map import heat_maps, place

IMAGES = noise(3, 64, 96, 3)
LAST, EARLIER = "conv3_block2_out", "conv2_block2_out"  # 8 and 4 pixels from cell to cell


def compiled(tmp_path, model):
    classifier(model).save(tmp_path / "model.keras")
    return Classifier.load(tmp_path / "model.keras")


@pytest.fixture
def no_keras(monkeypatch):
    """No Keras, neither to be found nor used."""
    monkeypatch.setattr("resnet50.metrics.heat_map.find_spec", lambda name: None)
    monkeypatch.setattr("resnet50.inference.classifier._load_keras", None)


@pytest.mark.parametrize("head", ["linear", "norm", "mlp"])
@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_a_map_is_that_of_grad_cam(tmp_path, head, batch_size):
    model = tiny_model(seed=1, size=(64, 96), head=head)
    classes = np.array([2, 0, 1])
    found = heat_maps(compiled(tmp_path, model), IMAGES, classes, batch_size=batch_size)
    assert (found.values.dtype, found.values.shape) == (np.float32, (3, 64, 96))
    assert (found.feature_map.layer, found.feature_map.cells) == (LAST, (8, 12))
    np.testing.assert_allclose(found.values, grad_cam(model, IMAGES, classes), atol=1e-4)


@pytest.mark.parametrize("size", [(63, 70), (64, 33), (97, 96)], ids=str)
def test_both_ways_place_a_map_alike(tmp_path, size, monkeypatch):
    model = tiny_model(seed=2, size=size, stem="cifar")
    images, classes = noise(2, *size, 3), np.array([0, 2])
    loaded = compiled(tmp_path, model)
    monkeypatch.setattr("resnet50.inference.classifier._load_keras", None)
    found = heat_maps(loaded, images, classes)
    assert found.feature_map.field.jump == (2, 2)
    np.testing.assert_allclose(found.values, grad_cam(model, images, classes), atol=1e-4)


@pytest.mark.parametrize("opened", ["compiled", "keras"])
def test_the_layer_can_be_named(tmp_path, opened):
    model = tiny_model(seed=1, size=(64, 96))
    given = compiled(tmp_path, model) if opened == "compiled" else classifier(model)
    found = heat_maps(given, IMAGES, np.arange(3), at=EARLIER)
    assert (found.feature_map.layer, found.feature_map.cells) == (EARLIER, (16, 24))
    np.testing.assert_allclose(found.values, grad_cam(model, IMAGES, np.arange(3), at=EARLIER), atol=1e-4)
    assert heat_maps(given, IMAGES, np.arange(3), at=LAST).feature_map.cells == (8, 12)
    with raises(ValueError, "'conv1'", LAST):
        heat_maps(given, IMAGES, np.arange(3), at="conv1")


def coarse_model() -> keras.Model:
    """A network whose last map has two cells a side, 16 pixels apart."""
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(4, 9, strides=8, padding="same", activation="relu", name="fine")(inputs)
    x = keras.layers.Conv2D(4, 1, strides=2, activation="relu", name="coarse")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(x))


@pytest.mark.parametrize("opened", ["compiled", "keras"])
def test_a_map_of_few_cells_gives_way_to_an_earlier_one(tmp_path, opened, random_weights):
    model = random_weights(coarse_model(), 1)
    given = compiled(tmp_path, model) if opened == "compiled" else classifier(model)
    images = noise(3, 32, 32, 3)
    found = heat_maps(given, images, np.arange(3))
    assert (found.feature_map.layer, found.feature_map.cells) == ("fine", (4, 4))
    np.testing.assert_allclose(found.values, grad_cam(model, images, np.arange(3), at="fine"), atol=1e-4)


def test_without_keras_the_coarse_map_is_shown_with_a_warning(tmp_path, no_keras, random_weights):
    model = random_weights(coarse_model(), 1)
    images = noise(3, 32, 32, 3)
    with pytest.warns(UserWarning, match="Keras.*coarse, 2 x 2 cells, 16 pixels apart"):
        found = heat_maps(compiled(tmp_path, model), images, np.arange(3))
    assert found.feature_map.layer == "coarse"
    np.testing.assert_allclose(found.values, grad_cam(model, images, np.arange(3), at="coarse"), atol=1e-4)


def test_linear_heads_need_no_keras(tmp_path, no_keras):
    loaded = compiled(tmp_path, tiny_model(seed=1, size=(64, 96)))
    assert heat_maps(loaded, IMAGES, np.arange(3)).values.max() == 1
    assert heat_maps(loaded, IMAGES, np.arange(3), at=LAST).values.max() == 1


@pytest.mark.parametrize("classes", [[0, 1], [0, 1, 3], [-1, 0, 0], [0.0, 1.0, 2.0]])
def test_there_must_be_a_class_for_each_image(tmp_path, classes):
    with raises(ValueError):
        heat_maps(compiled(tmp_path, tiny_model(seed=1, size=(64, 96))), IMAGES, np.array(classes))


def test_a_cell_is_drawn_where_it_is_centered():
    field = ReceptiveField((9, 9), (4, 6), (2.0, -1.0))
    heat = np.zeros((3, 2), np.float32)
    heat[1, 1] = 5
    placed = place(heat, field, (12, 8))
    assert (placed.dtype, placed.shape) == (np.float32, (12, 8))
    assert np.argwhere(placed == 1).tolist() == [[6, 5], [6, 6], [6, 7]]  # constant behind the last column, at 5
    np.testing.assert_allclose(placed[:, 5], [0, 0, 0, 0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25, 0, 0], atol=1e-6)
    np.testing.assert_allclose(placed[6], [1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1, 1, 1], atol=1e-6)


def test_beyond_the_outermost_centers_a_map_is_constant():
    heat = noise(3, 4).astype("float32") + 1
    placed = place(heat, ReceptiveField((9, 9), (32, 32), (0.0, 0.0)), (96, 120))
    assert (placed[64:] == placed[64]).all()
    assert (placed[:, 96:] == placed[:, 96:97]).all()
    np.testing.assert_allclose(placed[::32, ::32] / placed[0, 0], heat / heat[0, 0], rtol=1e-5)
    assert placed.max() == 1


def test_without_heat_a_map_is_zero():
    assert not place(np.zeros((2, 2), np.float32), ReceptiveField((9, 9), (4, 4), (0.0, 0.0)), (4, 6)).any()
