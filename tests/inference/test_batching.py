"""Images through a network: in order, read ahead but not too far, in batches of one shape."""

from __future__ import annotations

import logging
import threading
import time
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from factories import raises, tiny_model, write_image
from resnet50.inference import batching as module
from resnet50.inference.batching import forward_array, forward_images


class Counting:
    """Stands in for a model: returns the first pixel of each image, and records the shape of each batch."""

    input_shape, output_shape = (None, 2, 3, 3), (None, 1)

    def __init__(self):
        self.shapes = []

    def predict_on_batch(self, images):
        self.shapes.append(images.shape)
        return images[:, 0, 0, :1].astype(np.float32)


@pytest.fixture
def reads(monkeypatch):
    """Replace the reading of files: file ``k`` is an image of the gray ``k``, or cannot be read if it is ``bad``."""
    started, lock = [], threading.Lock()

    def fit_image(path, *, height, width, fit, name):
        with lock:
            started.append(path)
        if "bad" in path.name:
            raise ValueError(f"{path}: cannot be read.")
        if "gone" in path.name:
            raise FileNotFoundError(f"{path}: nothing there.")
        if "locked" in path.name:
            raise PermissionError(f"{path}: not allowed.")
        time.sleep(0.01 * (int(path.name) % 3))  # so that threads do not end in the order in which they began
        return np.full((height, width, 3), int(path.name), np.uint8)

    monkeypatch.setattr(module, "fit_image", fit_image)
    return started


def rows(model, images, **options):
    return [row for _, row in forward_images(model, images, **options)]


def paths(*names: object) -> list[Path]:
    return [Path(str(name)) for name in names]


@pytest.mark.parametrize("batch_size", [1, 3, 7, 100])
def test_every_file_gets_its_row_in_order(reads, batch_size):
    model = Counting()
    found = rows(model, paths(*range(20)), batch_size=batch_size)
    assert [row.tolist() for row in found] == [[k] for k in range(20)]
    assert reads != []
    size = min(batch_size, 20)
    assert model.shapes == [(size, 2, 3, 3)] * -(-20 // size)


def test_an_unreadable_file_gets_its_reason_in_its_place(reads):
    files = paths("bad1", 1, 2, "gone", 4, "locked", "bad2", "bad3", "bad4", 9)
    model = Counting()
    found = rows(model, files, batch_size=3)
    assert [row if isinstance(row, str) else row.tolist() for row in found] == [
        "bad1: cannot be read.",
        [1],
        [2],
        "gone: nothing there.",
        [4],
        "locked: not allowed.",
        "bad2: cannot be read.",
        "bad3: cannot be read.",
        "bad4: cannot be read.",
        [9],
    ]
    assert model.shapes == [(3, 2, 3, 3)] * 3  # the batch of bad files alone needs no network


def test_the_next_batch_is_read_while_the_network_works(reads):
    class Slow(Counting):
        def predict_on_batch(self, images):
            wanted = min(4 * (len(self.shapes) + 2), 20)
            until = time.monotonic() + 300
            while len(reads) < wanted:
                assert time.monotonic() < until, f"{len(reads)} files were read meanwhile, not {wanted}"
                time.sleep(0.005)
            return super().predict_on_batch(images)

    assert len(rows(Slow(), paths(*range(20)), batch_size=4)) == 20


def test_no_more_is_read_ahead_than_two_batches(reads):
    found = forward_images(Counting(), paths(*[1] * 1000), batch_size=4)
    for k in range(12):
        next(found)
        if k in (0, 11):
            time.sleep(0.3)
            assert len(reads) <= (k // 4 + 3) * 4
    found.close()
    time.sleep(0.1)
    assert len(reads) <= 5 * 4


def test_no_files_need_nothing(reads):
    assert rows(Counting(), []) == []


@pytest.mark.parametrize("size", [0, -1])
def test_a_batch_has_a_size(size):
    with raises(ValueError, "batch_size", 1, size):
        rows(Counting(), [], batch_size=size)


def test_a_network_is_compiled_once(reads):
    """As TensorFlow counts: each shape that a compiled function meets is another trace."""
    if keras.backend.backend() != "tensorflow":
        pytest.skip("counts the traces of TensorFlow")
    traces = []

    class Traced(keras.layers.Layer):
        def call(self, x):
            traces.append(x.shape)
            return x

    inputs = keras.Input((2, 3, 3))
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(Traced()(inputs)))
    traces.clear()
    found = rows(model, paths(*range(11)), batch_size=4)
    assert [row[0] for row in found] == list(range(11))
    assert len(traces) == 1


def test_many_networks_are_no_reason_for_a_warning():
    """TensorFlow warns of functions that are traced again and again, with an address in memory."""
    if keras.backend.backend() != "tensorflow":
        pytest.skip("TensorFlow alone warns")
    records = []
    handler = logging.Handler()
    handler.emit = records.append
    logging.getLogger("tensorflow").addHandler(handler)
    inputs = keras.Input((4, 4, 3))
    outputs = keras.layers.GlobalAveragePooling2D()(inputs)
    try:
        for _ in range(8):
            forward_array(keras.Model(inputs, outputs), np.zeros((2, 4, 4, 3), np.uint8), batch_size=2)
    finally:
        logging.getLogger("tensorflow").removeHandler(handler)
    assert not records


def test_odd_and_damaged_files_get_a_row_or_a_reason(shared_data):
    files = sorted((shared_data / "bad_images").iterdir())
    model = tiny_model(size=(32, 48), seed=None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before = list(warnings.filters)
        found = rows(model, files, batch_size=8)
        assert list(warnings.filters) == before
    assert len(found) == len(files) == 35
    for path, row in zip(files, found, strict=True):
        assert isinstance(row, np.ndarray) or row.startswith(f"{path}: ")
    assert sum(isinstance(row, np.ndarray) for row in found) >= 15


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("batch_size", [1, 4, 20])
def test_an_array_goes_through_in_batches_of_one_shape(batch_size, dtype):
    images = np.zeros((11, 2, 3, 3), dtype)
    images[:, 0, 0, 0] = np.arange(11)
    model = Counting()
    assert forward_array(model, images, batch_size=batch_size).tolist() == [[k] for k in range(11)]
    size = min(batch_size, 11)
    assert model.shapes == [(size, 2, 3, 3)] * -(-11 // size)


def test_images_of_every_type_go_through_together(tmp_path):
    path = write_image(tmp_path / "a.png", np.full((2, 3, 3), 10, np.uint8))
    pixels = np.full((2, 3, 3), 40, np.uint8)
    images = [path, str(path), path.read_bytes(), pixels, pixels.astype("float32"), Image.fromarray(pixels), None]
    with path.open("rb") as file:
        found = list(forward_images(Counting(), iter([*images, file]), batch_size=3))
    assert [found_path for found_path, _ in found] == [path, path, None, None, None, None, None, None]
    assert [row.tolist() for _, row in found[:6] + found[7:]] == [[10], [10], [10], [40], [40], [40], [10]]
    assert "image 6" in found[6][1]
    assert "NoneType" in found[6][1]


@pytest.mark.parametrize("image", ["a.png", Path("a.png"), b"bytes", np.zeros((4, 5, 3)), Image.new("L", (2, 2))])
def test_a_single_image_is_refused(image):
    with raises(ValueError, "list"):
        rows(Counting(), image)


@pytest.mark.parametrize("wrong", [np.nan, -0.5, 255.5, np.inf])
def test_pixels_that_are_not_from_0_to_255_are_refused(wrong):
    images = np.full((5, 2, 3, 3), 7.0, np.float32)
    images[3, 1, 1, 1] = wrong
    with raises(ValueError, 0, 255, "float32"):
        forward_array(Counting(), images, batch_size=2)


def test_pixels_that_were_divided_by_255_are_noticed():
    with pytest.warns(UserWarning, match="0 to 255"):
        forward_array(Counting(), np.full((5, 2, 3, 3), 0.9, np.float32), batch_size=2)


@pytest.mark.parametrize("images", [np.zeros((2, 2, 3, 3), np.float32), np.ones((2, 2, 3, 3), np.uint8)])
def test_black_images_and_whole_numbers_are_what_they_are(images):
    assert forward_array(Counting(), images, batch_size=2).shape == (2, 1)


def test_one_bright_image_shows_that_nothing_was_divided():
    images = np.full((5, 2, 3, 3), 0.5, np.float32)
    images[4] = 200
    assert forward_array(Counting(), images, batch_size=2)[:, 0].tolist() == [0.5] * 4 + [200]


def test_an_output_that_is_no_number_is_refused(reads):
    class Damaged(Counting):
        def predict_on_batch(self, images):
            return super().predict_on_batch(images) * np.nan

    with raises(ValueError, "NaN"):
        rows(Damaged(), paths(1, 2))
