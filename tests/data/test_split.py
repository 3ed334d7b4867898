import dataclasses
import hashlib
import tracemalloc

import numpy as np
import pytest

from factories import noise, raises
from resnet50.data.split import Split

IMAGES = noise(4, 6, 5, 3)
LABELS = np.array([2, 0, 1, 0])


def made(**changes):
    parts = {
        "images": IMAGES.copy(),
        "labels": LABELS.copy(),
        "class_names": ("one", "two", "three"),
        "sources": ("a", "b", "c", "d"),
        "dataset": "hands",
    }
    return Split(**parts | changes)


@pytest.mark.parametrize(
    ("changes", "values"),
    [
        ({"images": IMAGES / 255}, ("images", "uint8", "(n, height, width, 3)", "float64", (4, 6, 5, 3))),
        ({"images": IMAGES[0]}, ("images", "uint8", "(n, height, width, 3)", (6, 5, 3))),
        ({"images": IMAGES[..., :1]}, ("images", "uint8", "(n, height, width, 3)", (4, 6, 5, 1))),
        ({"labels": LABELS.astype("i4")}, ("labels", "int64", (4,), "int32")),
        ({"labels": LABELS.astype(">i8")}, ("labels", "int64", (4,), ">i8")),
        ({"labels": LABELS[:3]}, ("labels", "int64", (4,), (3,))),
        ({"labels": LABELS[None]}, ("labels", "int64", (4,), (1, 4))),
        ({"sources": ("a", "b")}, ("sources", 4, 2)),
        ({"labels": LABELS + 1}, ("labels", "0..2", "1..3")),
        ({"labels": LABELS - 1}, ("labels", "0..2", "-1..1")),
        ({"class_names": ()}, ("labels", "0..-1", "0..2")),
    ],
)
def test_refuses_parts_that_do_not_fit(changes, values):
    with raises(ValueError, "hands", *values):
        made(**changes)


def test_takes_pictures_in_the_order_asked_for():
    part = made().take([3, 0, 3])
    np.testing.assert_array_equal(part.images, IMAGES[[3, 0, 3]])
    assert part.labels.tolist() == [0, 2, 0]
    assert part.sources == ("d", "a", "d")
    assert (part.class_names, part.dataset) == (("one", "two", "three"), "hands")
    assert len(part) == 3


@pytest.mark.parametrize("none", [[], np.array([], dtype=np.int64), range(0)])
def test_takes_nothing(none):
    part = made().take(none)
    assert len(part) == 0
    assert part.images.shape == (0, 6, 5, 3)
    assert part.labels.dtype == np.int64


@pytest.mark.parametrize(("indices", "kind"), [([True, False, True, False], "bool"), ([0.0, 1.5], "float64")])
def test_take_refuses_what_is_no_index(indices, kind):
    with raises(ValueError, "hands", "indices", kind):
        made().take(indices)


def test_fingerprint_is_that_of_the_data():
    names = repr(((4, 6, 5, 3), ("one", "two", "three"))).encode()
    assert made().fingerprint == hashlib.sha256(names + IMAGES.tobytes() + LABELS.tobytes()).hexdigest()
    assert made(sources=("other",) * 4, dataset="another").fingerprint == made().fingerprint
    strided = np.repeat(IMAGES, 2, axis=2)[:, :, ::2]
    assert not strided.flags.c_contiguous
    assert made(images=strided).fingerprint == made().fingerprint


@pytest.mark.parametrize("block", [1, 180, 350])
def test_fingerprint_is_the_same_in_blocks(monkeypatch, block):
    expected = made().fingerprint
    monkeypatch.setattr("resnet50.data.split._BLOCK", block)  # a picture has 90 bytes
    assert made().fingerprint == expected


def test_every_change_of_the_data_changes_the_fingerprint():
    pixel, label = IMAGES.copy(), LABELS.copy()
    pixel[3, 5, 4, 2] ^= 1
    label[3] = 1
    others = [
        made(),
        made(images=pixel),
        made(labels=label),
        made(class_names=("one", "two", "Three")),
        made(class_names=("two", "one", "three")),
        made(images=IMAGES.reshape(4, 5, 6, 3)),
        made(images=IMAGES[::-1]),
        made().take([0, 1, 3, 2]),
        made().take([0, 1, 2]),
    ]
    assert len({split.fingerprint for split in others}) == len(others)


def test_cannot_be_changed_behind_its_fingerprint():
    images = IMAGES.copy()
    split = made(images=images)
    for array in (split.images, split.labels, split.take([0, 1]).images):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        split.labels = LABELS
    images[0] = 0  # the caller's own array stays writable


def test_compares_as_an_object():
    split = made()
    assert split == split
    assert split != made()
    assert len({split, made()}) == 2


def test_pictures_that_lie_in_a_file_stay_there(tmp_path):
    IMAGES.tofile(tmp_path / "images")
    mapped = np.memmap(tmp_path / "images", np.uint8, "r", shape=IMAGES.shape)
    split = made(images=mapped, groups=("a", "b", "c", "d"))
    assert split.fingerprint == made().fingerprint
    for chosen in ([1, 2], range(4), [3], [2, 1], [0, 2], [1, 1], [-2, -1], [-1, 0], []):
        part = split.take(chosen)
        assert not isinstance(part.images, np.ndarray)
        assert part.images.shape == np.asarray(part.images).shape == (len(chosen), 6, 5, 3)
        np.testing.assert_array_equal(part.images, IMAGES[list(chosen)])
        assert part.labels.tolist() == LABELS[list(chosen)].tolist()
        assert part.fingerprint == made().take(chosen).fingerprint
    twice = split.take([3, 1, 0]).take([-1, 0])
    np.testing.assert_array_equal(twice.images, IMAGES[[0, 3]])
    assert (twice.sources, twice.groups) == (("a", "d"), ("a", "d"))
    assert len(split.take([]).take([])) == 0
    assert isinstance(made().take([1, 2]).images, np.ndarray)
    for taken in (split, twice):
        with pytest.raises(IndexError):
            taken.take([3, 4])


def test_taking_from_a_file_takes_no_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("resnet50.data.split._BLOCK", 1 << 20)
    shape = (400, 100, 100, 3)  # 12 MB
    mapped = np.memmap(tmp_path / "images", np.uint8, "w+", shape=shape)
    split = made(images=mapped, labels=np.zeros(400, np.int64), sources=("a",) * 400)
    order = np.random.default_rng(0).permutation(400)
    tracemalloc.start()
    part = split.take(order).take(order[:350] - 50)
    assert len(part.fingerprint) == 64
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2e6
