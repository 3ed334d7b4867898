"""A classifier with thresholds: its file, its sets and its refusals, in every way to open it."""

from __future__ import annotations

import json
import zipfile

import keras
import numpy as np
import pytest

from factories import classifier as classifier_of
from factories import noise, raises, with_thresholds, write_image
from resnet50.inference.classifier import Classifier
from resnet50.inference.predict import predict
from resnet50.inference.prediction import Doubt


@pytest.fixture(scope="module")
def known():
    return with_thresholds(classifier_of())


@pytest.fixture(scope="module")
def file(known, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "model.keras"
    known.save(path)
    return path


@pytest.fixture
def images(tmp_path):
    return [write_image(tmp_path / f"{k}.png", noise(40, 50, 3, seed=k)) for k in range(3)]


def test_the_file_is_plain_keras_and_has_the_thresholds(known, file):
    assert keras.saving.load_model(file, compile=False).count_params()
    assert Classifier.load(file).thresholds.to_bytes() == known.thresholds.to_bytes()
    assert "thresholds" not in Classifier.load(file).metadata()


@pytest.mark.parametrize("runtime", [None, "keras"])
def test_a_prediction_has_a_set_and_a_refusal(known, file, images, runtime):
    """At 95 % of 99 images the largest score is 0.96, one below it at 94: every class of 5 % or more is in the set."""
    classifier = Classifier.load(file, runtime=runtime)
    for path, found in zip(images, predict(classifier, images, top=3, coverage=0.95), strict=True):
        limit = classifier.thresholds.class_thresholds(0.95, 3)
        names = [name for name, share in found.top if 1 - share <= limit["abc".index(name)]]
        assert found.prediction_set == (tuple(names) or (found.top[0][0],))
        assert found.refused is False
        assert 0 <= found.distance <= 2
        one = classifier.predict(path)
        assert (one.prediction_set, one.refused) == (found.prediction_set, found.refused)
        assert one.distance == pytest.approx(found.distance, abs=1e-5)
        assert known.predict(path).distance == pytest.approx(found.distance, abs=1e-4)


def test_the_probabilities_are_those_without_thresholds(file, images):
    plain = classifier_of()
    for path in images:
        for (name, share), (other, expected) in zip(
            Classifier.load(file).predict(path).top, plain.predict(path).top, strict=True
        ):
            assert (name, share) == (other, pytest.approx(expected, abs=1e-5))


def test_what_is_off_is_none(file, images):
    classifier = Classifier.load(file)
    (first, *_) = predict(classifier, images, coverage=None, refuse=None)
    assert (first.prediction_set, first.refused, first.distance) == (None, None, None)
    (first, *_) = predict(classifier, images, refuse=None)
    assert first.prediction_set
    assert (first.refused, first.distance) == (None, None)
    with raises(ValueError, "coverage", 1.5):
        list(predict(classifier, images, coverage=1.5))
    with raises(ValueError, "refuse", 0):
        list(predict(classifier, images, refuse=0))


def test_an_image_that_is_too_far_is_refused(images):
    far = with_thresholds(classifier_of(), near=False)
    assert [each.refused for each in predict(far, images)] == [True] * 3


def test_without_thresholds_nothing_is_said(images):
    plain = classifier_of()
    assert plain.predict(images[0]).prediction_set is None
    assert plain.doubts(np.ones((2, 3))) == [Doubt(), Doubt()]
    assert plain.examine(noise(2, 32, 40, 3))[1] is None


def test_features_are_measured_block_by_block(known, monkeypatch):
    pixels = noise(7, 32, 40, 3)
    whole = known.examine(pixels)
    monkeypatch.setattr("resnet50.inference.classifier._BLOCK", 4)
    for found, expected in zip(known.examine(pixels, batch_size=2), whole, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_int8_has_no_thresholds_and_bf16_has_those_of_the_file(file):
    small = Classifier.load(file, precision="int8", calibration=noise(4, 32, 40, 3))
    assert small.thresholds is None
    assert "int8" in small.why_none()
    assert small.why_none(None, None) == ""
    pytest.importorskip("openvino")
    assert Classifier.load(file, precision="bf16").predict(noise(40, 50, 3)).refused is False


def test_a_damaged_member_is_refused(file, tmp_path):
    path = tmp_path / "damaged.keras"
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            target.writestr(name, b"no arrays" if name == "thresholds.npz" else source.read(name))
    with raises(ValueError, path):
        Classifier.load(path)
    assert json.loads(zipfile.ZipFile(path).read("resnet50.json"))
