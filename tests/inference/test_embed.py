"""The features of files, and the file that stores them."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from factories import classifier as classifier_of
from factories import noise, raises, tiny_model, write_image
from resnet50.data.images import read_image
from resnet50.inference.classifier import Classifier
from resnet50.inference.embed import embed
from resnet50.inference.features import feature_model


@pytest.fixture
def classifier():
    return classifier_of(tiny_model(size=(40, 48), seed=8))


@pytest.fixture
def images(tmp_path):
    paths = [tmp_path / f"{name}.png" for name in ("é", "b", "bad", "c")]
    for k, path in enumerate(paths):
        write_image(path, noise(50, 60, 3, seed=k))
    paths[2].write_text("no image")
    return paths


def test_features_make_the_probabilities(classifier, images):
    steps = []
    found = embed(classifier, images, batch_size=2, progress=lambda *step: steps.append(step))
    readable = [images[0], images[1], images[3]]
    assert found.paths == tuple(readable)
    assert found.features.shape == (3, 24)
    assert found.features.dtype == np.float32
    (lost,) = found.unreadable
    assert lost.path == str(images[2])
    assert str(images[2]) in lost.reason
    assert "\n" not in lost.reason
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    kernel, bias = classifier.model.get_layer("predictions").get_weights()
    scores = np.exp(found.features @ kernel + bias)
    images = np.stack([read_image(path, height=40, width=48) for path in readable])
    expected = classifier.probabilities(images)
    np.testing.assert_allclose(scores / scores.sum(axis=1, keepdims=True), expected, rtol=1e-3, atol=1e-6)
    assert np.ptp(expected, axis=0).max() > 1e-3


@pytest.mark.parametrize("opened", ["keras", "compiled"])
def test_features_of_another_layer_are_means_over_positions(classifier, images, tmp_path, opened):
    if opened == "compiled":
        classifier.save(tmp_path / "m.keras")
        classifier = Classifier.load(tmp_path / "m.keras")
    found = embed(classifier, images, at="conv2_block2_out", batch_size=2)
    assert (found.features.shape, found.features.dtype, found.at) == ((3, 16), np.float32, "conv2_block2_out")
    pixels = np.stack([read_image(path, height=40, width=48) for path in found.paths])
    maps = np.asarray(feature_model(classifier.model, at="conv2_block2_out")(pixels))
    np.testing.assert_allclose(found.features, maps.mean(axis=(1, 2)), rtol=1e-4, atol=1e-5)
    found.save(tmp_path / "out.npz", model=images[0])
    with np.load(tmp_path / "out.npz", allow_pickle=False) as file:
        assert str(file["at"]) == "conv2_block2_out"


def test_an_unknown_layer_is_refused(classifier, images):
    with raises(ValueError, "'conv2_block9_out'", "conv2_block2_out?"):
        embed(classifier, images, at="conv2_block9_out")


def test_paths_may_be_text(classifier, images):
    found = embed(classifier, [str(path) for path in images])
    assert found.paths == (images[0], images[1], images[3])


def test_a_file_of_features_opens_without_pickle(classifier, images, tmp_path):
    found = embed(classifier, images)
    (tmp_path / "m.keras").write_bytes(b"a model")
    found.save(tmp_path / "out.npz", model=tmp_path / "m.keras")
    with np.load(tmp_path / "out.npz", allow_pickle=False) as file:
        assert sorted(file) == ["at", "features", "model", "model_sha256", "paths", "precision"]
        assert str(file["at"]) == ""
        np.testing.assert_array_equal(file["features"], found.features)
        assert file["features"].dtype == np.float32
        assert file["paths"].dtype.kind == "U"
        assert file["paths"].tolist() == [str(path) for path in found.paths]
        assert str(file["model"]) == str(tmp_path / "m.keras")
        assert str(file["precision"]) == "fp32"
        assert str(file["model_sha256"]) == hashlib.sha256(b"a model").hexdigest()
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix not in (".png", ".keras")) == ["out.npz"]


def test_an_earlier_file_stays_if_writing_fails(classifier, images, tmp_path):
    out = tmp_path / "out.npz"
    out.write_text("old")
    with pytest.raises(FileNotFoundError):
        embed(classifier, images).save(out, model=tmp_path / "none.keras")
    assert out.read_text() == "old"


def test_another_name_is_refused(classifier, tmp_path):
    with raises(ValueError, tmp_path / "out.npy", ".npz"):
        embed(classifier, []).save(tmp_path / "out.npy", model=tmp_path / "m.keras")
    assert embed(classifier, []).features.shape == (0, 24)


def test_the_output_of_a_layer_is_not_had_in_another_precision(classifier, images, tmp_path):
    classifier.save(tmp_path / "model.keras")
    calibration = np.stack([noise(40, 48, 3, seed=k) for k in range(2)])
    int8 = Classifier.load(tmp_path / "model.keras", precision="int8", calibration=calibration)
    with raises(ValueError, "fp32", "conv2_block1_out", "int8"):
        embed(int8, images[:1], at="conv2_block1_out")
