"""The training images that are most like an image, and the file that stores their features."""

from __future__ import annotations

import json
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest

from factories import classifier as classifier_of
from factories import noise, posix, tiny_model, write_image
from resnet50.data.images import read_image
from resnet50.inference import neighbors
from resnet50.inference.features import feature_model
from resnet50.inference.neighbors import training_features

DIGESTS = {"model_sha256": "a" * 64, "images_sha256": "b" * 64}


@pytest.fixture(scope="module")
def classifier():
    return classifier_of(tiny_model(size=(32, 40), seed=3))


@pytest.fixture
def images(tmp_path):
    """Five images, the third of which cannot be read."""
    names = [tmp_path / "photos" / f"{k}, é.png" for k in range(5)]
    for k, path in enumerate(names):
        write_image(path, noise(50, 60, 3, seed=k))
    names[2].write_text("no image")
    return [(path, f"class {k % 2}") for k, path in enumerate(names)]


@pytest.fixture
def computed(monkeypatch):
    """The numbers of images whose features are computed, call by call."""
    counts = []
    embed = neighbors.embed

    def counted(classifier, paths, **options):
        counts.append(len(paths))
        return embed(classifier, paths, **options)

    monkeypatch.setattr(neighbors, "embed", counted)
    return counts


def features_of(classifier, paths):
    """The features of image files, of length 1, by Keras."""
    pixels = np.stack([read_image(path, height=32, width=40) for path in paths])
    rows = feature_model(classifier.model).predict_on_batch(pixels).astype(np.float64)
    return rows / np.sqrt((rows**2).sum(axis=1, keepdims=True))


def test_the_nearest_are_those_with_the_greatest_cosine(classifier, images, tmp_path):
    found = training_features(classifier, images, tmp_path / "features.npz", **DIGESTS)
    readable = [images[k] for k in (0, 1, 3, 4)]
    assert found.paths == tuple(path for path, _ in readable)
    assert found.class_names == tuple(name for _, name in readable)
    assert (found.features.dtype, found.features.shape) == (np.float32, (4, 24))
    new = write_image(tmp_path / "new.png", noise(40, 40, 3, seed=9))
    query, *rows = features_of(classifier, [new, *found.paths])
    cosines = {path: float(row @ query) for path, row in zip(found.paths, rows, strict=True)}
    expected = sorted(cosines, key=cosines.get, reverse=True)
    nearest = found.nearest(3 * query.astype(np.float32), 3)
    assert [each.path for each in nearest] == expected[:3]
    assert [each.class_name for each in nearest] == [dict(images)[path] for path in expected[:3]]
    assert [each.similarity for each in nearest] == pytest.approx([cosines[path] for path in expected[:3]], abs=1e-5)
    (same,) = found.nearest(rows[2].astype(np.float32), 1)
    assert (same.path, same.similarity) == (images[3][0], pytest.approx(1, abs=1e-5))


def test_they_are_computed_once_and_stored_without_pickle(classifier, images, tmp_path, computed):
    steps = []
    stored = tmp_path / "run" / "features.npz"
    first = training_features(classifier, images, stored, **DIGESTS, progress=lambda *step: steps.append(step))
    again = training_features(classifier, images, stored, **DIGESTS, progress=lambda *step: steps.append(step))
    assert computed == [5]
    assert steps == [(k, 5) for k in range(1, 6)]
    assert (again.paths, again.class_names) == (first.paths, first.class_names)
    np.testing.assert_array_equal(again.features, first.features)
    with np.load(stored, allow_pickle=False) as file:
        assert sorted(file) == ["features", "images", "images_sha256", "model_sha256"]
        assert file["images"].tolist() == [0, 1, 3, 4]
        assert file["features"].dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(file["features"], axis=1), 1, atol=1e-5)
        assert {name: str(file[name]) for name in DIGESTS} == DIGESTS
    assert [path.name for path in stored.parent.iterdir()] == ["features.npz"]


@pytest.mark.parametrize("name", DIGESTS)
def test_those_of_another_model_or_other_images_are_computed_again(name, classifier, images, tmp_path, computed):
    for digests in (DIGESTS, {**DIGESTS, name: "c" * 64}, DIGESTS):
        training_features(classifier, images, tmp_path / "features.npz", **digests)
    assert computed == [5, 5, 5]


def write(path, **changes):
    """Write a file like that of the features, with other arrays in it; None leaves one out."""
    features = np.zeros((4, 24), np.float32)
    features[:, 0] = 1
    arrays = {"features": features, "images": np.array([0, 1, 3, 4]), **DIGESTS, **changes}
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})


def test_a_file_like_that_of_the_features_is_taken(classifier, images, tmp_path, computed):
    write(tmp_path / "features.npz")
    found = training_features(classifier, images, tmp_path / "features.npz", **DIGESTS)
    assert (computed, found.features[:, 0].tolist()) == ([], [1, 1, 1, 1])


DAMAGED = {
    "of another dtype": {"features": np.eye(4, 24)},
    "of another width": {"features": np.eye(4, 23, dtype=np.float32)},
    "of too few rows": {"features": np.eye(3, 24, dtype=np.float32)},
    "flat": {"features": np.ones(4, np.float32)},
    "a number": {"features": np.float32(1)},
    "not of length 1": {"features": np.full((4, 24), 0.5, np.float32)},
    "not numbers": {"features": np.full((4, 24), np.nan, np.float32)},
    "objects": {"features": np.array([{}] * 4, object)},
    "without images": {"features": np.zeros((0, 24), np.float32), "images": np.zeros(0, np.int64)},
    "of other images": {"images": np.array([0, 1, 3, 5])},
    "of an image twice": {"images": np.array([0, 1, 1, 4])},
    "before the first": {"images": np.array([-1, 1, 3, 4])},
    "of half an image": {"images": np.array([0, 1.5, 3, 4])},
    "incomplete": {"images": None},
    "of more arrays": {"more": np.zeros(1)},
    "too large": {"features": np.zeros((40_000, 24), np.float32)},
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_features_are_computed_again(name, classifier, images, tmp_path, computed):
    stored = tmp_path / "features.npz"
    write(stored, **DAMAGED[name])
    assert len(training_features(classifier, images, stored, **DIGESTS).paths) == 4
    training_features(classifier, images, stored, **DIGESTS)
    assert computed == [5]


def foreign(stored, kind):
    """Make a file of features one of another kind."""
    write(stored)
    content = stored.read_bytes()
    place = content.index(b"NUMPY") + 200  # in the features
    forms = {
        "empty": b"",
        "text": b"features",
        "truncated": content[: len(content) // 2],
        "changed": content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :],
    }
    if kind in forms:
        stored.write_bytes(forms[kind])
    elif kind == "folder":
        stored.unlink()
        stored.mkdir()
    else:  # a few bytes that would unpack to 4 GB
        with zipfile.ZipFile(stored, "w", zipfile.ZIP_DEFLATED) as archive:
            header = {"descr": "<f4", "fortran_order": False, "shape": (1_000_000, 1000)}
            archive.writestr("features.npy", b"\x93NUMPY\x01\x00\x76\x00" + json.dumps(header).encode().ljust(118))


@pytest.mark.parametrize("kind", ["empty", "text", "truncated", "changed", "folder", "packed"])
def test_foreign_files_are_no_features(kind, classifier, images, tmp_path, computed):
    foreign(tmp_path / "features.npz", kind)
    assert len(training_features(classifier, images, tmp_path / "features.npz", **DIGESTS).paths) == 4
    assert computed == [5]


@posix
def test_a_folder_that_cannot_be_written_gets_none(classifier, images, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(neighbors, "atomic_path", refuse)
    assert len(training_features(classifier, images, tmp_path / "features.npz", **DIGESTS).paths) == 4
    assert not (tmp_path / "features.npz").exists()


def test_of_very_many_images_some_are_compared(classifier, images, tmp_path, monkeypatch, computed):
    monkeypatch.setattr(neighbors, "MOST_IMAGES", 3)
    for _ in range(2):
        found = training_features(classifier, images, tmp_path / "features.npz", **DIGESTS)
        assert found.paths == (images[0][0], images[4][0])  # the one between them cannot be read
    assert computed == [3]


def test_features_without_a_direction_are_left_out(classifier, images, tmp_path, monkeypatch):
    features = np.zeros((5, 24), np.float32)
    features[1, 2] = 5
    paths = tuple(path for path, _ in images)
    embedding = SimpleNamespace(features=features, paths=paths, unreadable=())
    monkeypatch.setattr(neighbors, "embed", lambda *_, **__: embedding)
    found = training_features(classifier, images, tmp_path / "features.npz", **DIGESTS)
    assert (found.paths, found.features[0, 2]) == ((images[1][0],), 1)
    assert found.nearest(np.zeros(24, np.float32), 2)[0].similarity == 0
