import os
import re
from dataclasses import replace
from io import BytesIO
from itertools import count
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from factories import classifier as classifier_of
from factories import raises, write_image
from resnet50.data.fit import Fit
from resnet50.data.images import read_image
from resnet50.inference.predict import find_images, predict
from resnet50.inference.prediction import Doubt


class ByColor:
    """Stands in for a classifier and its model: the mean of each channel is the probability of its color."""

    input_shape = (None, 16, 24, 3)
    class_names = ("red", "green", "blue")
    fit = Fit()

    def __init__(self):
        self.network = self.answering = self
        self.batches = []

    def doubts(self, rows, **shares):
        return [Doubt()] * len(rows)

    def predict_on_batch(self, images):
        assert images.shape[1:] == (16, 24, 3)
        assert images.dtype == np.uint8
        self.batches.append(len(images))
        return (images.mean(axis=(1, 2)) / 255).astype(np.float32)


@pytest.fixture
def images(tmp_path):
    return [write_image(tmp_path / f"{k}.png", name) for k, name in enumerate(["red", "blue", "lime", "blue", "red"])]


@pytest.mark.parametrize("batch_size", [1, 2, 5, 32])
def test_the_order_does_not_depend_on_the_batch(images, batch_size):
    classifier = ByColor()
    found = list(predict(classifier, images, top=1, batch_size=batch_size))
    assert [prediction.path for prediction in found] == images
    assert [prediction.index for prediction in found] == list(range(5))
    assert [prediction.top for prediction in found] == [
        ((name, 1.0),) for name in ("red", "blue", "green", "blue", "red")
    ]
    assert all(prediction.error is None for prediction in found)
    assert classifier.batches == {1: [1] * 5, 2: [2, 2, 2], 5: [5], 32: [5]}[batch_size]


@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_a_bad_file_stops_nothing(images, tmp_path, batch_size):
    bad, gone = tmp_path / "bad.jpg", tmp_path / "gone.jpg"
    bad.write_text("text")
    paths = [bad, images[0], bad, tmp_path, gone, images[1], images[0]]
    found = list(predict(ByColor(), paths, top=1, batch_size=batch_size))
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
    classifier = ByColor()
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
        (prediction,) = predict(ByColor(), [path], top=top)
        assert [name for name, _ in prediction.top] == names
    assert [share for _, share in prediction.top] == pytest.approx([0.8, 0.4, 0.2], abs=1e-6)
    assert all(type(share) is float for _, share in prediction.top)


def test_of_equals_the_first_class_is_named_first(tmp_path):
    (prediction,) = predict(ByColor(), [write_image(tmp_path / "a.png", "rgb(90, 90, 90)")])
    assert [name for name, _ in prediction.top] == ["red", "green", "blue"]


@pytest.mark.parametrize("name", ["top", "batch_size"])
@pytest.mark.parametrize("value", [0, -3])
def test_refuses_numbers_that_are_not_positive(images, name, value):
    with raises(ValueError, name, 1, value):
        list(predict(ByColor(), images, **{name: value}))


def test_works_in_batches_and_not_all_at_once(images):
    classifier = ByColor()
    found = predict(classifier, images, batch_size=2)
    next(found)
    assert classifier.batches == [2]


def test_agrees_with_the_classifier(images):
    inputs = keras.Input((16, 24, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(x))
    classifier = classifier_of(model)
    images = np.stack([read_image(path, height=16, width=24) for path in images])
    expected = classifier.probabilities(images)
    found = list(predict(classifier, images, batch_size=2))
    for prediction, row in zip(found, expected, strict=True):
        assert dict(prediction.top) == pytest.approx(dict(zip("abc", row.tolist(), strict=True)), abs=1e-6)


def test_finds_images_in_a_folder_and_below_in_sorted_order(tmp_path):
    names = ["a/3.heic", "a/2.png", "a/10.JPG", "b.Jpeg", "c/d/e.TIFF", "c/f.webp", "z.bmp", "z.gif"]
    for name in reversed([*names, "c/notes.txt", "model.keras", "a/png", ".DS_Store", "a/._2.png", ".trash/x.png"]):
        write_image(tmp_path / name, format="PNG")
    (tmp_path / "folder.png").mkdir()
    found = find_images([str(tmp_path)])
    assert found == sorted(tmp_path / name for name in names)
    assert all(isinstance(path, Path) for path in found)


def test_files_stay_as_they_are_named(tmp_path):
    folder = tmp_path / "folder"
    inside = write_image(folder / "a.png")
    odd, gone = write_image(tmp_path / "odd.txt", format="PNG"), tmp_path / "gone.png"
    assert find_images([odd, folder, gone, inside, odd]) == [odd, inside, gone, inside, odd]
    assert find_images([]) == []


@pytest.mark.parametrize("names", [[], ["notes.txt", "below/model.keras"]])
def test_refuses_a_folder_without_images(tmp_path, names):
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in names:
        write_image(folder / name, format="PNG")
    suffixes = (".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
    with raises(ValueError, folder, *suffixes) as caught:
        find_images([write_image(tmp_path / "a.png"), folder])
    counts = re.findall(r"\d+", str(caught.value).replace(str(folder), ""))
    assert counts == (["2", "1", "1"] if names else [])  # files, of each suffix


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_does_not_wait_for_a_pipe_in_a_folder(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    write_image(tmp_path / "a.png")
    found = find_images([tmp_path])
    assert found == [tmp_path / "a.png", tmp_path / "pipe.jpg"]
    _, prediction = predict(ByColor(), found)
    assert str(found[1]) in prediction.error


def test_images_of_every_size_and_type_are_classified_as_their_files_are(tmp_path):
    pixels = np.zeros((50, 90, 3), np.uint8)
    pixels[..., 2] = 250
    pixels[:, :20] = 90  # cut off, where the shape is made that of the model
    path = write_image(tmp_path / "a.png", pixels)
    images = [
        path,
        str(path),
        path.read_bytes(),
        BytesIO(path.read_bytes()),
        Image.open(path),
        pixels,
        np.float32(pixels),
    ]
    images.append(np.dstack([pixels, np.full((50, 90), 255, np.uint8)]))
    predictions = list(predict(ByColor(), images, top=3, batch_size=3))
    assert [each.error for each in predictions] == [None] * 8
    assert len({each.top for each in predictions}) == 1
    assert predictions[0].top[0][0] == "blue"
    assert [(each.index, each.path) for each in predictions] == [
        (k, path if k < 2 else None) for k in range(len(images))
    ]


def test_an_array_of_images_is_several_images():
    images = np.zeros((3, 20, 20, 3), np.uint8)
    images[np.arange(3), :, :, [2, 0, 1]] = 255
    assert [each.top[0][0] for each in predict(ByColor(), images)] == ["blue", "red", "green"]


def test_gray_and_transparent_pixels_are_brought_to_rgb():
    gray, clear = np.full((9, 7), 51, np.uint8), np.zeros((9, 7, 4), np.uint8)
    predictions = list(predict(ByColor(), [gray, gray[..., None], clear]))
    assert [dict(each.top)["blue"] for each in predictions] == pytest.approx([0.2, 0.2, 1.0], abs=1e-6)


@pytest.mark.parametrize(
    ("image", "values"),
    [
        (b"no image", ()),
        (np.zeros((4, 5, 2), np.uint8), ("(4, 5, 2)",)),
        (np.zeros((0, 5, 3), np.uint8), ("(0, 5, 3)",)),
        (np.zeros(5, np.uint8), ("(5,)",)),
        (np.full((4, 5, 3), 0.5), ("255", "0.5")),
        (np.full((4, 5, 3), 256), ("255", "256")),
        (np.full((4, 5, 3), -1.0), ("255", "-1")),
        (np.full((4, 5, 3), np.nan), ("255", "nan")),
        (np.zeros((4, 5, 3), bool), ("255", "bool")),
        (np.full((4, 5, 3), True), ("255", "bool")),
        (7, ("int",)),
        (None, ("NoneType",)),
    ],
)
def test_an_image_that_cannot_be_read_gets_an_error_of_its_own(image, values):
    good = np.full((9, 9, 3), 255, np.uint8)
    before, bad, after = predict(ByColor(), [good, image, good], batch_size=2)
    assert before.error is after.error is None
    assert (bad.index, bad.path, bad.top) == (1, None, ())
    for value in ("image 1", *values):
        assert value in bad.error
    assert "\n" not in bad.error


def test_a_generator_that_never_ends_is_classified_as_it_comes():
    stream = (np.full((9, 9, 3), number % 256, np.uint8) for number in count())
    predictions = predict(ByColor(), stream, batch_size=4)
    assert [next(predictions).index for _ in range(9)] == list(range(9))


def test_one_image_is_classified_by_the_classifier_itself(images):
    inputs = keras.Input((16, 24, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(inputs))
    classifier = classifier_of(keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(x)))
    (expected,) = predict(classifier, images[:1], top=2)
    assert classifier.predict(images[0], top=2) == expected
    assert classifier.predict(images[0].read_bytes(), top=2) == replace(expected, path=None)
    with raises(ValueError, "top", 1, 0):
        classifier.predict(images[0], top=0)
    with raises(ValueError):
        classifier.predict(b"no image")
    with raises(FileNotFoundError, "gone.png"):
        classifier.predict("gone.png")
