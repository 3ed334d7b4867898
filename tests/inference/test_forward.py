"""Files through a network: in order, read ahead but not too far, in batches of one shape."""

from __future__ import annotations

import threading
import time
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest

from factories import raises, tiny_model
from resnet50.inference import forward as module
from resnet50.inference.forward import forward


class Counting:
    """Stands in for a model: answers with the first pixel of each picture, and notes the batches."""

    input_shape = (None, 2, 3, 3)

    def __init__(self):
        self.shapes = []

    def predict_on_batch(self, images):
        self.shapes.append(images.shape)
        return images[:, 0, 0, :1].astype(np.float32)


@pytest.fixture
def reads(monkeypatch):
    """Replace the reading of files: file ``k`` is a picture of the grey ``k``, or cannot be read if it is ``bad``."""
    begun, lock = [], threading.Lock()

    def read_image(path, *, height, width):
        with lock:
            begun.append(path)
        if "bad" in path.name:
            raise ValueError(f"{path}: cannot be read.")
        if "gone" in path.name:
            raise FileNotFoundError(f"{path}: nothing there.")
        if "locked" in path.name:
            raise PermissionError(f"{path}: not allowed.")
        time.sleep(0.01 * (int(path.name) % 3))  # so that threads do not end in the order in which they began
        return np.full((height, width, 3), int(path.name), np.uint8)

    monkeypatch.setattr(module, "read_image", read_image)
    return begun


def paths(*names: object) -> list[Path]:
    return [Path(str(name)) for name in names]


@pytest.mark.parametrize("batch_size", [1, 3, 7, 100])
def test_every_file_gets_its_row_in_order(reads, batch_size):
    model = Counting()
    found = list(forward(model, paths(*range(20)), batch_size=batch_size))
    assert [row.tolist() for row in found] == [[k] for k in range(20)]
    assert reads != []
    size = min(batch_size, 20)
    assert model.shapes == [(size, 2, 3, 3)] * -(-20 // size)


def test_what_cannot_be_read_gets_its_reason_in_its_place(reads):
    files = paths("bad1", 1, 2, "gone", 4, "locked", "bad2", "bad3", "bad4", 9)
    model = Counting()
    found = list(forward(model, files, batch_size=3))
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
            until = time.monotonic() + 20
            while len(reads) < wanted:
                assert time.monotonic() < until, f"{len(reads)} files were read meanwhile, not {wanted}"
                time.sleep(0.005)
            return super().predict_on_batch(images)

    assert len(list(forward(Slow(), paths(*range(20)), batch_size=4))) == 20


def test_no_more_is_read_ahead_than_two_batches(reads):
    found = forward(Counting(), paths(*[1] * 1000), batch_size=4)
    for k in range(12):
        next(found)
        if k in (0, 11):
            time.sleep(0.3)
            assert len(reads) <= (k // 4 + 3) * 4
    found.close()
    time.sleep(0.1)
    assert len(reads) <= 5 * 4


def test_no_files_need_nothing(reads):
    assert list(forward(Counting(), [])) == []


@pytest.mark.parametrize("size", [0, -1])
def test_a_batch_has_a_size(size):
    with raises(ValueError, "batch_size", 1, size):
        list(forward(Counting(), [], batch_size=size))


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
    rows = list(forward(model, paths(*range(11)), batch_size=4))
    assert [row[0] for row in rows] == list(range(11))
    assert len(traces) == 1


def test_all_odd_and_damaged_files_are_answered(shared_data):
    files = sorted((shared_data / "bad_images").iterdir())
    model = tiny_model(size=(32, 48), seed=None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before = list(warnings.filters)
        found = list(forward(model, files, batch_size=8))
        assert list(warnings.filters) == before
    assert len(found) == len(files) == 35
    for path, row in zip(files, found, strict=True):
        assert isinstance(row, np.ndarray) or row.startswith(f"{path}: ")
    assert sum(isinstance(row, np.ndarray) for row in found) >= 15
