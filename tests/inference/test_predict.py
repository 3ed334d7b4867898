import os
import re
from pathlib import Path

import keras
import numpy as np
import pytest

from factories import classifier as classifier_of
from factories import raises, write_image
from resnet50.data.images import read_image
from resnet50.inference.predict import find_pictures, predict


class ByColour:
    """Stands in for a classifier and its model: the mean of each channel is the probability of its colour."""

    input_shape = (None, 16, 24, 3)
    class_names = ("red", "green", "blue")

    def __init__(self):
        self.model = self
        self.batches = []

    def predict_on_batch(self, images):
        assert images.shape[1:] == (16, 24, 3)
        assert images.dtype == np.uint8
        self.batches.append(len(images))
        return (images.mean(axis=(1, 2)) / 255).astype(np.float32)


@pytest.fixture
def pictures(tmp_path):
    return [write_image(tmp_path / f"{k}.png", name) for k, name in enumerate(["red", "blue", "lime", "blue", "red"])]


@pytest.mark.parametrize("batch_size", [1, 2, 5, 32])
def test_keeps_the_order_whatever_the_batch(pictures, batch_size):
    classifier = ByColour()
    found = list(predict(classifier, pictures, top=1, batch_size=batch_size))
    assert [prediction.path for prediction in found] == pictures
    assert [prediction.top for prediction in found] == [
        ((name, 1.0),) for name in ("red", "blue", "green", "blue", "red")
    ]
    assert all(prediction.error is None for prediction in found)
    assert classifier.batches == {1: [1] * 5, 2: [2, 2, 2], 5: [5], 32: [5]}[batch_size]


@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_a_bad_file_stops_nothing(pictures, tmp_path, batch_size):
    bad, gone = tmp_path / "bad.jpg", tmp_path / "gone.jpg"
    bad.write_text("text")
    paths = [bad, pictures[0], bad, tmp_path, gone, pictures[1], pictures[0]]
    found = list(predict(ByColour(), paths, top=1, batch_size=batch_size))
    assert [prediction.path for prediction in found] == paths
    errors = [prediction.error for prediction in found]
    assert [error is None for error in errors] == [False, True, False, False, False, True, True]
    unread, folder, missing = errors[0], errors[3], errors[4]
    assert errors[2] == unread
    reasons = {error.replace(str(path), "") for error, path in ((unread, bad), (folder, tmp_path), (missing, gone))}
    assert len(reasons) == 3
    for path, error in ((bad, unread), (tmp_path, folder), (gone, missing)):
        assert str(path) in error
        assert "\n" not in error
    names = [[name for name, _ in prediction.top] for prediction in found]
    assert names == [[], ["red"], [], [], [], ["blue"], ["red"]]


def test_only_bad_files_and_none_at_all(tmp_path):
    classifier = ByColour()
    assert [p.top for p in predict(classifier, [tmp_path / "a.jpg", tmp_path / "b.jpg"])] == [(), ()]
    assert list(predict(classifier, [])) == []
    assert classifier.batches == []


def test_names_the_most_probable_first_and_no_more_than_there_are(tmp_path):
    path = write_image(tmp_path / "a.png", "rgb(51, 204, 102)")
    for top, names in (
        (1, ["green"]),
        (2, ["green", "blue"]),
        (3, ["green", "blue", "red"]),
        (9, ["green", "blue", "red"]),
    ):
        (prediction,) = predict(ByColour(), [path], top=top)
        assert [name for name, _ in prediction.top] == names
    assert [share for _, share in prediction.top] == pytest.approx([0.8, 0.4, 0.2], abs=1e-6)
    assert all(type(share) is float for _, share in prediction.top)


def test_of_equals_the_first_class_is_named_first(tmp_path):
    (prediction,) = predict(ByColour(), [write_image(tmp_path / "a.png", "rgb(90, 90, 90)")])
    assert [name for name, _ in prediction.top] == ["red", "green", "blue"]


@pytest.mark.parametrize("name", ["top", "batch_size"])
@pytest.mark.parametrize("value", [0, -3])
def test_refuses_numbers_that_are_not_positive(pictures, name, value):
    with raises(ValueError, name, 1, value):
        list(predict(ByColour(), pictures, **{name: value}))


def test_works_in_batches_and_not_all_at_once(pictures):
    classifier = ByColour()
    found = predict(classifier, pictures, batch_size=2)
    next(found)
    assert classifier.batches == [2]


def test_agrees_with_the_classifier(pictures):
    inputs = keras.Input((16, 24, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(x))
    classifier = classifier_of(model)
    images = np.stack([read_image(path, height=16, width=24) for path in pictures])
    expected = classifier.probabilities(images)
    found = list(predict(classifier, pictures, batch_size=2))
    for prediction, row in zip(found, expected, strict=True):
        assert dict(prediction.top) == pytest.approx(dict(zip("abc", row.tolist(), strict=True)), abs=1e-6)


def test_finds_pictures_in_a_folder_and_below_in_sorted_order(tmp_path):
    kept = ["a/3.heic", "a/2.png", "a/10.JPG", "b.Jpeg", "c/d/e.TIFF", "c/f.webp", "z.bmp", "z.gif"]
    for name in reversed([*kept, "c/notes.txt", "model.keras", "a/png", ".DS_Store", "a/._2.png", ".trash/x.png"]):
        write_image(tmp_path / name, format="PNG")
    (tmp_path / "folder.png").mkdir()
    found = find_pictures([str(tmp_path)])
    assert found == sorted(tmp_path / name for name in kept)
    assert all(isinstance(path, Path) for path in found)


def test_keeps_files_as_they_are_named(tmp_path):
    folder = tmp_path / "folder"
    inside = write_image(folder / "a.png")
    odd, gone = write_image(tmp_path / "odd.txt", format="PNG"), tmp_path / "gone.png"
    assert find_pictures([odd, folder, gone, inside, odd]) == [odd, inside, gone, inside, odd]
    assert find_pictures([]) == []


@pytest.mark.parametrize("names", [[], ["notes.txt", "below/model.keras"]])
def test_refuses_a_folder_without_pictures(tmp_path, names):
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in names:
        write_image(folder / name, format="PNG")
    suffixes = (".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
    with raises(ValueError, folder, *suffixes) as caught:
        find_pictures([write_image(tmp_path / "a.png"), folder])
    assert re.findall(r"\d+", str(caught.value).replace(str(folder), "")) == [str(len(names))]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_does_not_wait_for_a_pipe_in_a_folder(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    write_image(tmp_path / "a.png")
    found = find_pictures([tmp_path])
    assert found == [tmp_path / "a.png", tmp_path / "pipe.jpg"]
    _, prediction = predict(ByColour(), found)
    assert str(found[1]) in prediction.error
