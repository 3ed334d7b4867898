"""What the page shows, without a page."""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from factories import classifier as classifier_of
from factories import noise, raises, tiny_model, with_thresholds, write_image
from resnet50.app import answers
from resnet50.app.answers import answer, answer_many, verdict
from resnet50.data.images import read_image
from resnet50.inference.classifier import Classifier
from resnet50.inference.neighbors import TrainingFeatures
from resnet50.metrics.grad_cam import grad_cam
from resnet50.plots.heat import overlay


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    return write_image(tmp_path_factory.mktemp("new") / "thing.png", noise(90, 70, 3))


def test_the_classes_are_those_of_the_classifier(run, image):
    classifier = Classifier.load(run.folder)
    found = answer(classifier, image)
    assert found.top == classifier.predict(image, top=3).top
    assert found.nearest == ()
    name, share = found.top[0]
    for words in (
        name,
        f"{share:.1%}",
        "40 by 32 pixels",
        "0.875",
        f"Grad-CAM for {name} at conv3_block2_out, 4 x 5 cells",
    ):
        assert words in found.summary


def test_the_map_is_that_of_the_first_class(run, image):
    classifier = Classifier.load(run.folder)
    found = answer(classifier, image)
    assert max(found.fitted.shape) >= 448
    pixels = read_image(image, height=32, width=40, fit=classifier.fit)
    heats = grad_cam(run.keras().model, pixels[None], np.array([classifier.class_names.index(found.top[0][0])]))
    expected = overlay(found.fitted, heats[0])
    assert np.abs(found.evidence.astype(int) - expected.astype(int)).max() <= 1


def test_a_network_without_feature_maps_has_none(image):
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, keras.layers.Dense(2, "softmax")(keras.layers.Flatten()(inputs)), name="flat")
    found = answer(classifier_of(model, ("a", "b")), image)
    assert (found.evidence, found.fitted.shape) == (None, (8, 8, 3))
    assert "'flat'" in found.summary


def test_without_keras_some_networks_have_none(image, tmp_path, monkeypatch):
    classifier_of(tiny_model(head="mlp")).save(tmp_path / "m.keras")
    classifier = Classifier.load(tmp_path / "m.keras")
    monkeypatch.setitem(sys.modules, "resnet50.metrics.grad_cam", None)
    found = answer(classifier, image)
    assert (found.evidence, len(found.top)) == (None, 3)
    assert "Keras" in found.summary


def test_the_nearest_are_shown_as_the_network_sees_them(run, image, tmp_path):
    classifier = Classifier.load(run.folder)
    paths = [write_image(tmp_path / f"{k}.png", noise(60, 70, 3, seed=k)) for k in range(6)]
    features = np.linalg.qr(np.random.default_rng(0).normal(size=(24, 6)))[0].T.astype(np.float32)
    training = TrainingFeatures(features, tuple(paths), tuple("abcdef"))
    row = classifier.features.predict_on_batch(read_image(image, height=32, width=40, fit=classifier.fit)[None])[0]
    order = np.argsort(-(features @ row))[:4]
    paths[order[1]].unlink()
    paths[order[2]].write_text("no image")
    shown = answer(classifier, image, training).nearest
    assert [each.path for _, each in shown] == [paths[order[0]], paths[order[3]]]
    for pixels, each in shown:
        np.testing.assert_array_equal(pixels, read_image(each.path, height=32, width=40, fit=classifier.fit))


def test_what_is_no_image_is_refused(run, tmp_path):
    (tmp_path / "notes.jpg").write_text("no image")
    with raises(ValueError, tmp_path / "notes.jpg"):
        answer(Classifier.load(run.folder), tmp_path / "notes.jpg")


def test_many_images_have_the_names_that_they_are_given(run, image, tmp_path):
    classifier = Classifier.load(run.folder)
    (tmp_path / "hash.png").write_text("no image")
    files = [(image, "one.png"), (tmp_path / "hash.png", "=two.png"), (image, "three.png")]
    predictions, images = answer_many(classifier, files, top=2)
    assert [each.path for each in predictions] == [Path("one.png"), Path("=two.png"), Path("three.png")]
    assert predictions[1].top == ()
    assert predictions[1].error.startswith("=two.png: ")
    assert str(tmp_path) not in predictions[1].error
    expected = dict(classifier.predict(image, top=2).top)
    for each in (predictions[0], predictions[2]):
        assert dict(each.top) == pytest.approx(expected, abs=1e-6)
    assert [image.shape for image in images] == [(32, 40, 3)] * 2
    assert answer_many(classifier, files[1:2])[1] == ()


def test_many_images_are_read_in_batches_and_shown_small(run, image, tmp_path, monkeypatch):
    monkeypatch.setattr(answers, "_BATCH", 2)
    monkeypatch.setattr(answers, "_SMALL", 20)
    classifier = Classifier.load(run.folder)
    (tmp_path / "bad.png").write_text("no image")
    paths = [image, tmp_path / "bad.png", *(run.source / name for name in run.test)]
    predictions, images = answer_many(classifier, [(path, path.name) for path in paths])
    assert [each.index for each in predictions] == list(range(6))
    assert [each.path.name for each in predictions] == [path.name for path in paths]
    assert [each.error is None for each in predictions] == [True, False, True, True, True, True]
    for path, each in zip(paths[2:], predictions[2:], strict=True):
        assert dict(each.top) == pytest.approx(dict(classifier.predict(path).top), abs=1e-6)
    assert [shown.shape for shown in images] == [(16, 20, 3)] * 5


def test_the_answer_has_the_set_and_the_refusal(image):
    found = answer(with_thresholds(classifier_of()), image)
    assert found.doubt.prediction_set
    assert found.doubt.refused is False
    said = verdict(found.doubt)
    assert all(name in said for name in found.doubt.prediction_set)
    assert "95%" in said
    far = answer(with_thresholds(classifier_of(), near=False), image)
    assert "None of these" in verdict(far.doubt)
    assert verdict(answer(classifier_of(), image).doubt) == ""


def test_many_answers_have_sets_and_refusals(image):
    predictions, _ = answer_many(with_thresholds(classifier_of()), [(image, "one.png"), (image, "two.png")])
    assert [each.prediction_set for each in predictions] == [answer_of(image)] * 2
    assert [each.refused for each in predictions] == [False, False]


def answer_of(image):
    return answer(with_thresholds(classifier_of()), image).doubt.prediction_set
