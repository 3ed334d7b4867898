import re

import h5py
import numpy as np
import pytest

from factories import noise, raises
from resnet50.data import signs
from resnet50.data.signs import SIGNS, fetch_signs, load_signs
from resnet50.download import fetch

IMAGES = noise(5, 8, 8, 3)
LABELS = np.array([0, 1, 2, 1, 0])


def write(path, part="train", **changes):
    """A small file in the course's schema."""
    keys = {f"{part}_set_x": IMAGES, f"{part}_set_y": LABELS, "list_classes": np.arange(3)} | changes
    with h5py.File(path, "w") as file:
        for key, value in keys.items():
            file[key] = value
    return path


def test_loads_two_files_or_their_folder(tmp_path):
    train = write(tmp_path / "train_signs.h5")
    test = write(tmp_path / "test_signs.h5", "test", test_set_x=IMAGES[:2], test_set_y=[[2, 0]])
    for given in ((train, test), (str(tmp_path),)):
        splits = load_signs(*given)
        assert [len(split) for split in splits] == [5, 2]
        assert splits[1].labels.tolist() == [2, 0]
        np.testing.assert_array_equal(splits[1].images, IMAGES[:2])


def test_load_refuses_other_classes(tmp_path):
    train = write(tmp_path / "train_signs.h5")
    test = write(tmp_path / "test_signs.h5", "test", list_classes=np.array([b"0", b"1", b"two"]))
    with raises(ValueError, test, train, "0, 1, 2", "0, 1, two"):
        load_signs(tmp_path)


def test_load_names_the_missing_file(tmp_path):
    write(tmp_path / "train_signs.h5")
    with raises(FileNotFoundError, tmp_path / "test_signs.h5"):
        load_signs(tmp_path)


def test_real_signs(shared_data):
    if not (shared_data / "signs").is_dir():
        pytest.skip(f"no signs in {shared_data}; set RESNET50_DATA to the folder with the real data")
    train, test = load_signs(shared_data / "signs")
    assert train.images.shape == (1080, 64, 64, 3)
    assert test.images.shape == (120, 64, 64, 3)
    for split, each in ((train, 180), (test, 20)):
        assert split.class_names == ("0", "1", "2", "3", "4", "5")
        assert np.bincount(split.labels).tolist() == [each] * 6
        assert split.images.min() < 30
        assert split.images.max() > 230
    assert test.sources[119] == "test_signs.h5#119"
    assert len(set(train.sources)) == 1080


def test_course_files_are_pinned():
    assert [(d.name, d.git_blob, d.sha256_start) for d in SIGNS] == [
        ("train_signs.h5", "15904fbeb148848aea50d42c96a539b7bd11c4e5", None),
        ("test_signs.h5", "ac34131b87c829b90f5c0913f90d509f1c1f8ed0", "539fb746ed9e947e"),
    ]
    for download in SIGNS:
        assert len(download.urls) > 1
        for url in download.urls:
            assert re.search(r"^https://[^ ]+/[0-9a-f]{40}/[^ ]+/" + re.escape(download.name) + "$", url)


def test_course_test_file_has_these_hashes(tmp_path, shared_data):
    if not (shared_data / "signs" / "test_signs.h5").is_file():
        pytest.skip(f"no signs/test_signs.h5 in {shared_data}; set RESNET50_DATA to the folder with the real data")
    (tmp_path / "test_signs.h5").write_bytes((shared_data / "signs" / "test_signs.h5").read_bytes())
    assert fetch(SIGNS[1], tmp_path) == tmp_path / "test_signs.h5"  # would need the network, were the hashes wrong


def test_fetch_signs(monkeypatch, tmp_path):
    fetched = []
    monkeypatch.setattr(signs, "fetch", lambda *asked, progress: fetched.append((*asked, progress)))
    monkeypatch.setenv("RESNET50_CACHE", str(tmp_path / "cache"))
    for given, expected in ((str(tmp_path / "own"), tmp_path / "own"), (None, tmp_path / "cache" / "signs")):
        assert fetch_signs(given, progress=print) == expected
        assert fetched == [(download, expected, print) for download in SIGNS]
        fetched.clear()
