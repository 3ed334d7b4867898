"""A ``.keras`` file that answers in bf16 and int8, against the same file in fp32."""

from __future__ import annotations

import hashlib
import json
import os
from types import SimpleNamespace

import keras
import numpy as np
import openvino
import pytest
from keras import layers

import factories
from factories import noise, posix, raises, tiny_model, write_image
from resnet50.inference import compiled, precision
from resnet50.inference.classifier import Classifier

IMAGES = noise(12, 32, 40, 3)
OTHERS = noise(5, 32, 40, 3, seed=1)

on_bf16 = pytest.mark.skipif(
    "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"),
    reason="a processor that does not compute in bf16",
)


@pytest.fixture(autouse=True)
def graphs(tmp_path, monkeypatch):
    """An empty cache; the folder of the graphs in it."""
    monkeypatch.setenv("RESNET50_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "graphs"


@pytest.fixture
def conversions(monkeypatch):
    """The files that are converted from now on."""
    paths = []
    convert = compiled._convert
    monkeypatch.setattr(compiled, "_convert", lambda path, **options: (paths.append(path), convert(path, **options))[1])
    return paths


@pytest.fixture
def path(tmp_path):
    """A classifier of images that are not square; its training images are not known."""
    factories.classifier(tiny_model(seed=1)).save(tmp_path / "a.keras")
    return tmp_path / "a.keras"


@pytest.fixture
def square(tmp_path):
    """A classifier of square images, and a folder of some."""
    factories.classifier(tiny_model(size=(32, 32), seed=1)).save(tmp_path / "square.keras")
    for index in range(8):
        write_image(tmp_path / "photos" / "abc"[index % 3] / f"{index}.png", noise(40, 50, 3, seed=index))
    return tmp_path / "square.keras", tmp_path / "photos"


def assert_close(found, expected, tolerance):
    """Every output is near that of fp32, and not the same."""
    assert expected.precision == "fp32" != found.precision
    probabilities = found.probabilities(IMAGES)
    assert probabilities.dtype == np.float32
    assert 0 < np.abs(probabilities - expected.probabilities(IMAGES)).max() < tolerance
    for name in ("features", "class_activation_maps"):
        values, exact = (each.network.outputs[name].predict_on_batch(IMAGES) for each in (found, expected))
        assert 0 < np.abs(values - exact).max() < tolerance * max(1, np.abs(exact).max())


@on_bf16
def test_bf16_answers_by_openvino(path, conversions):
    expected = Classifier.load(path)
    assert_close(Classifier.load(path, precision="bf16"), expected, 0.02)
    assert len(conversions) == 2  # one for each runtime
    again = Classifier.load(path, precision="bf16")
    assert (again.precision, len(conversions)) == ("bf16", 2)
    assert again.model.count_params()  # of Keras, where it is asked for


def test_bf16_without_openvino_says_what_to_install(path, monkeypatch):
    monkeypatch.setattr(precision, "find_spec", lambda name: None)
    with raises(ImportError, "openvino", "bf16", "resnet50[export]"):
        Classifier.load(path, precision="bf16")


def test_a_processor_without_bf16_is_named(path, monkeypatch):
    monkeypatch.setattr(openvino, "Core", lambda: SimpleNamespace(get_property=lambda *_: ["FP32", "INT8"]))
    monkeypatch.setattr(precision, "processor", lambda: "An Old One")
    with raises(ValueError, "bf16", "An Old One", "int8"):
        Classifier.load(path, precision="bf16")


def test_int8_is_calibrated_once(path, conversions, graphs):
    expected = Classifier.load(path)
    first = Classifier.load(path, precision="int8", calibration=IMAGES)
    assert_close(first, expected, 0.05)
    again = Classifier.load(path, precision="int8")
    np.testing.assert_array_equal(again.probabilities(IMAGES), first.probabilities(IMAGES))
    Classifier.load(path, precision="int8", calibration=IMAGES)
    assert len(conversions) == 2  # in fp32, and this one
    differences = np.abs(first.probabilities(IMAGES) - expected.probabilities(IMAGES)).max(axis=1)
    assert first.network.distance == again.network.distance == pytest.approx(differences.mean(), abs=1e-5)
    assert expected.network.distance is None
    assert len(list(graphs.glob("*.onnx"))) == 2


def test_other_images_calibrate_anew_and_the_last_choice_stays(path, graphs):
    for images in (IMAGES, OTHERS):
        last = Classifier.load(path, precision="int8", calibration=images)
    ours, others = (
        next(graphs.glob(f"*-{hashlib.sha256(images.tobytes()).hexdigest()}.onnx")) for images in (IMAGES, OTHERS)
    )
    os.utime(ours, (1, 1))
    again = Classifier.load(path, precision="int8")
    np.testing.assert_array_equal(again.probabilities(IMAGES), last.probabilities(IMAGES))
    others.write_bytes(b"no graph")
    assert Classifier.load(path, precision="int8").probabilities(IMAGES).shape == (12, 3)  # as the time before


def test_images_to_calibrate_on_may_be_a_folder(square):
    path, photos = square
    assert Classifier.load(path, precision="int8", calibration=photos).precision == "int8"
    assert Classifier.load(path, precision="int8").precision == "int8"


def test_images_that_are_not_known_have_to_be_given(square, tmp_path):
    with raises(ValueError, square[0], "int8", "--data"):
        Classifier.load(square[0], precision="int8")
    with raises(FileNotFoundError, tmp_path / "nowhere"):
        Classifier.load(square[0], precision="int8", calibration=tmp_path / "nowhere")


def test_images_whose_run_does_not_say_where_they_are_have_to_be_given(square, tmp_path):
    (tmp_path / "run").mkdir()
    run = tmp_path / "run"
    square[0].rename(run / "model.keras")
    (run / "recipe.json").write_text("{}")
    with raises(FileNotFoundError, run / "environment.json", "int8", "--data"):
        Classifier.load(run, precision="int8")
    for source in ("[]", json.dumps({"data": {"source": {"task": "none"}}})):
        (run / "environment.json").write_text(source)
        with raises(ValueError, run / "environment.json", "int8", "--data"):
            Classifier.load(run, precision="int8")


@pytest.mark.parametrize("images", [IMAGES[:0], IMAGES[:, :, :32], IMAGES[0]])
def test_images_that_do_not_fit_are_refused(path, images):
    with raises(ValueError, "32, 40, 3", images.shape):
        Classifier.load(path, precision="int8", calibration=images)


def test_what_does_not_go_together_is_refused(path, tmp_path):
    for options, values in [
        ({"precision": "fp16"}, ("fp32, bf16, int8", "'fp16'")),
        ({"calibration": IMAGES}, ("int8", "fp32", "--data")),
        ({"precision": "bf16", "calibration": IMAGES}, ("int8", "bf16", "--data")),
        ({"precision": "int8", "runtime": "keras"}, ("int8", "keras", "fp32")),
    ]:
        with raises(ValueError, *values):
            Classifier.load(path, **options)
    (tmp_path / "shipped").mkdir()
    (tmp_path / "shipped" / "resnet50.json").write_text("{}")
    with raises(ValueError, tmp_path / "shipped", "int8", "export"):
        Classifier.load(tmp_path / "shipped", precision="int8")


def test_a_layer_that_is_not_converted_is_named(tmp_path):
    inputs = keras.Input((32, 40, 3))
    pooled = layers.GlobalMaxPooling2D(name="odd")(inputs)
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(pooled), name="other")
    factories.classifier(model).save(tmp_path / "other.keras")
    with raises(ValueError, "'other'", "'odd'"):
        Classifier.load(tmp_path / "other.keras", precision="int8", calibration=IMAGES)


@posix
def test_a_cache_that_cannot_be_written_changes_nothing(path, tmp_path):
    (tmp_path / "cache").write_text("a file in its place")
    found = Classifier.load(path, precision="int8", calibration=IMAGES)
    assert_close(found, Classifier.load(path), 0.05)
