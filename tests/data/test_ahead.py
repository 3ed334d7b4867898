from __future__ import annotations

import threading

import pytest

from factories import dataset
from resnet50.data import batches
from resnet50.data.ahead import MadeAhead
from resnet50.data.augmentation import Augmentation
from resnet50.data.batches import Batches


def test_what_follows_is_made_before_it_is_asked_for():
    made, both = [], threading.Event()

    def make(epoch, index):
        made.append((epoch, index))
        if {(0, 1), (0, 2)} <= set(made):
            both.set()
        return epoch, index

    ahead = MadeAhead(make, 9, 2)
    assert ahead.get(0, 0) == (0, 0)
    assert both.wait(10)
    assert [ahead.get(0, index) for index in range(1, 9)] == [(0, index) for index in range(1, 9)]
    assert sorted(made) == [(0, index) for index in range(9)]  # each once, and none of another epoch


def test_what_was_made_for_another_epoch_is_not_used():
    ahead = MadeAhead(lambda epoch, index: (epoch, index), 5, 2)
    assert [ahead.get(epoch, 0) for epoch in (0, 3, 0)] == [(0, 0), (3, 0), (0, 0)]
    assert ahead.get(0, 4) == (0, 4)


def test_an_error_comes_with_its_batch():
    def make(epoch, index):
        if index == 1:
            raise ValueError("shard 3")
        return index

    ahead = MadeAhead(make, 3, 2)
    assert ahead.get(0, 0) == 0
    with pytest.raises(ValueError, match="shard 3"):
        ahead.get(0, 1)
    assert ahead.get(0, 2) == 2


def test_batches_are_the_same_on_backends_for_which_they_are_made_ahead(monkeypatch):
    images = dataset([0, 1] * 10)
    seen = {}
    for backend in ("tensorflow", "jax", "torch"):
        monkeypatch.setattr(batches.keras.backend, "backend", lambda backend=backend: backend)
        made = Batches(images, 4, shuffle=True, augmentation=Augmentation(rotation=20), seed=5, ahead=2)
        assert made.workers == (2 if backend == "tensorflow" else 1)
        made[0]  # as fit does before the first epoch
        seen[backend] = []
        for made.epoch in (4, 2):
            seen[backend] += [array.tolist() for batch in made for array in batch]
    assert seen["jax"] == seen["torch"] == seen["tensorflow"]
