import dataclasses
import hashlib
import tracemalloc

import numpy as np
import pytest

from factories import noise, raises
from resnet50.data.dataset import Dataset

IMAGES = noise(4, 6, 5, 3)
LABELS = np.array([2, 0, 1, 0])


def made(**changes):
    fields = {
        "images": IMAGES.copy(),
        "labels": LABELS.copy(),
        "class_names": ("one", "two", "three"),
        "paths": ("a", "b", "c", "d"),
        "name": "hands",
    }
    return Dataset(**fields | changes)


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
        ({"paths": ("a", "b")}, ("paths", 4, 2)),
        ({"labels": LABELS + 1}, ("labels", "0..2", "1..3")),
        ({"labels": LABELS - 1}, ("labels", "0..2", "-1..1")),
        ({"class_names": ()}, ("labels", "0..-1", "0..2")),
    ],
)
def test_refuses_fields_that_do_not_fit(changes, values):
    with raises(ValueError, "hands", *values):
        made(**changes)


def test_selects_images_in_the_given_order():
    selected = made().select([3, 0, 3])
    np.testing.assert_array_equal(selected.images, IMAGES[[3, 0, 3]])
    assert selected.labels.tolist() == [0, 2, 0]
    assert selected.paths == ("d", "a", "d")
    assert (selected.class_names, selected.name) == (("one", "two", "three"), "hands")
    assert len(selected) == 3


@pytest.mark.parametrize("none", [[], np.array([], dtype=np.int64), range(0)])
def test_selects_nothing(none):
    selected = made().select(none)
    assert len(selected) == 0
    assert selected.images.shape == (0, 6, 5, 3)
    assert selected.labels.dtype == np.int64


@pytest.mark.parametrize(("indices", "kind"), [([True, False, True, False], "bool"), ([0.0, 1.5], "float64")])
def test_select_refuses_other_indices(indices, kind):
    with raises(ValueError, "hands", "indices", kind):
        made().select(indices)


def test_fingerprint_is_that_of_the_data():
    names = repr(((4, 6, 5, 3), ("one", "two", "three"))).encode()
    assert made().fingerprint == hashlib.sha256(names + IMAGES.tobytes() + LABELS.tobytes()).hexdigest()
    assert made(paths=("other",) * 4, name="another").fingerprint == made().fingerprint
    strided = np.repeat(IMAGES, 2, axis=2)[:, :, ::2]
    assert not strided.flags.c_contiguous
    assert made(images=strided).fingerprint == made().fingerprint


@pytest.mark.parametrize("block", [1, 180, 350])
def test_fingerprint_is_the_same_in_blocks(monkeypatch, block):
    expected = made().fingerprint
    monkeypatch.setattr("resnet50.data.dataset._BLOCK", block)  # an image has 90 bytes
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
        made().select([0, 1, 3, 2]),
        made().select([0, 1, 2]),
    ]
    assert len({dataset.fingerprint for dataset in others}) == len(others)


def test_cannot_be_changed_behind_its_fingerprint():
    images = IMAGES.copy()
    dataset = made(images=images)
    for array in (dataset.images, dataset.labels, dataset.select([0, 1]).images):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        dataset.labels = LABELS
    images[0] = 0  # the caller's own array stays writable


def test_compares_as_an_object():
    dataset = made()
    assert dataset == dataset
    assert dataset != made()
    assert len({dataset, made()}) == 2


def test_images_that_lie_in_a_file_stay_there(tmp_path):
    IMAGES.tofile(tmp_path / "images")
    mapped = np.memmap(tmp_path / "images", np.uint8, "r", shape=IMAGES.shape)
    dataset = made(images=mapped, groups=("a", "b", "c", "d"))
    assert dataset.fingerprint == made().fingerprint
    for chosen in ([1, 2], range(4), [3], [2, 1], [0, 2], [1, 1], [-2, -1], [-1, 0], []):
        selected = dataset.select(chosen)
        assert not isinstance(selected.images, np.ndarray)
        assert selected.images.shape == np.asarray(selected.images).shape == (len(chosen), 6, 5, 3)
        np.testing.assert_array_equal(selected.images, IMAGES[list(chosen)])
        assert selected.labels.tolist() == LABELS[list(chosen)].tolist()
        assert selected.fingerprint == made().select(chosen).fingerprint
    twice = dataset.select([3, 1, 0]).select([-1, 0])
    np.testing.assert_array_equal(twice.images, IMAGES[[0, 3]])
    assert (twice.paths, twice.groups) == (("a", "d"), ("a", "d"))
    assert len(dataset.select([]).select([])) == 0
    assert isinstance(made().select([1, 2]).images, np.ndarray)
    for labeled in (dataset, twice):
        with pytest.raises(IndexError):
            labeled.select([3, 4])


def test_selecting_from_a_file_takes_no_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("resnet50.data.dataset._BLOCK", 1 << 20)
    shape = (400, 100, 100, 3)  # 12 MB
    mapped = np.memmap(tmp_path / "images", np.uint8, "w+", shape=shape)
    dataset = made(images=mapped, labels=np.zeros(400, np.int64), paths=("a",) * 400)
    order = np.random.default_rng(0).permutation(400)
    tracemalloc.start()
    selected = dataset.select(order).select(order[:350] - 50)
    assert len(selected.fingerprint) == 64
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2e6


def test_a_dataset_is_shown_in_a_line():
    shown = repr(made())
    assert "\n" not in shown
    assert all(value in shown for value in ("'hands'", "4 images", "6 x 5", "3 classes"))


@pytest.mark.parametrize("name", ["tw\no", "two\x1b]52;c;eA==\x07", "\udcff", "\u202eowt"])
def test_class_names_that_could_command_a_terminal_are_refused(name):
    with raises(ValueError, "hands", name.encode("unicode_escape").decode().replace("\\", "\\\\")):
        made(class_names=("one", name, "three"))


def test_class_names_may_hold_anything_that_can_be_shown():
    names = ("\u732b", "50 % & <b>", "$\\foo$")
    assert made(class_names=names).class_names == names
