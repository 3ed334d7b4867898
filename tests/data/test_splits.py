"""The splits of a dataset: named, cut, and searched once for near-duplicates."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from factories import dataset as labeled_images
from factories import fixed_camera, noise, raises
from resnet50.data.dataset import Unreadable
from resnet50.data.near_duplicates import find_near_duplicates
from resnet50.data.splits import DatasetSplits
from resnet50.data.splitting import train_validation_split


@pytest.fixture
def splits():
    """Sixty training images, every second one the same as a sign before it, and others like them in test."""
    pixels = noise(60, 16, 16, 3)
    pixels[1:40:2] = pixels[0:40:2]
    pixels[[50, 51, 52]] = 9
    train = labeled_images([k // 2 % 3 for k in range(60)], "abc", images=pixels)
    test = labeled_images([0, 1, 2], "abc", images=pixels[[0, 3, 59]], name="test pets")
    return DatasetSplits(train, test, unreadable=(Unreadable("a", "b"),))


def test_splits_by_name(splits):
    assert list(splits.by_name) == ["train", "test"]
    assert splits["test"] is splits.test
    with raises(ValueError, "validation", "train", "test"):
        splits["validation"]
    assert DatasetSplits.of(splits.by_name).by_name == splits.by_name
    assert splits.map(lambda dataset: dataset.select([0])).test.paths == ("0.png",)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_cut_is_that_of_the_training_images_alone(splits, seed):
    rest, held_out = train_validation_split(splits.train, 0.25, seed=seed)
    cut = splits.cut(0.25, into="validation", seed=seed)
    assert cut.train.paths == rest.paths
    assert cut.validation.paths == held_out.paths
    assert cut.train.fingerprint == rest.fingerprint
    assert cut.test is splits.test
    assert cut.unreadable == splits.unreadable
    assert splits.validation is None  # frozen


def assert_same(one, other):
    assert [np.unique(np.stack(pairs[:2]), axis=1).tolist() for pairs in one.pairs()] == [
        np.unique(np.stack(pairs[:2]), axis=1).tolist() for pairs in other.pairs()
    ]
    for name in ("thumbnails", "single_color", "groups"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_near_duplicates_are_carried_through_cuts(splits, monkeypatch):
    expected = find_near_duplicates([splits.train.images, splits.test.images])
    assert_same(splits.near_duplicates, expected)
    monkeypatch.setattr("resnet50.data.splits.find_near_duplicates", None)  # no other search
    assert splits.near_duplicates is splits.near_duplicates
    splits = dataclasses.replace(splits, test=None)
    monkeypatch.undo()
    cut = splits.cut(0.25, into="test", seed=3)
    monkeypatch.setattr("resnet50.data.splits.find_near_duplicates", None)
    cut = cut.cut(0.25, into="validation", seed=4)
    assert list(cut.by_name) == ["train", "validation", "test"]
    assert sum(map(len, cut.by_name.values())) == 60
    assert_same(cut.near_duplicates, find_near_duplicates([dataset.images for dataset in cut.by_name.values()]))


def test_images_of_one_color_bind_a_cut(splits):
    for seed in range(10):
        held_out = set(splits.cut(0.25, into="validation", seed=seed).validation.paths)
        assert len(held_out & {"50.png", "51.png", "52.png"}) in (0, 3)


def test_other_images_have_other_near_duplicates(splits):
    assert len(splits.near_duplicates.groups) == 63
    assert len(dataclasses.replace(splits, test=None).near_duplicates.groups) == 60
    assert len(splits.map(lambda dataset: dataset.select([0, 1])).near_duplicates.groups) == 4


@pytest.mark.parametrize("into", ["test", "train", "holdout"])
def test_a_cut_needs_a_new_split(splits, into):
    with raises(ValueError, "pets", repr(into), "train", "test"):
        splits.cut(0.25, into=into, seed=0)


@pytest.mark.parametrize("share", [0, 1, float("nan")])
def test_a_cut_needs_a_share(splits, share):
    with raises(ValueError, 0, 1, share):
        splits.cut(share, into="validation", seed=0)


def test_a_cut_needs_training_images(splits):
    with raises(ValueError, "train", "test"):
        DatasetSplits(test=splits.test).cut(0.25, into="validation", seed=0)


def test_images_of_a_fixed_camera_are_cut_in_proportion():
    splits = DatasetSplits(labeled_images([0, 1] * 60, "ab", images=fixed_camera(120)))
    cut = splits.cut(0.2, into="test", seed=0).cut(0.15, into="validation", seed=0)
    assert [np.bincount(dataset.labels).tolist() for dataset in cut.by_name.values()] == [[41, 41], [7, 7], [12, 12]]


@pytest.mark.parametrize("identical_only", [True, False])
def test_a_cut_keeps_what_counts_as_near_duplicates(identical_only):
    images = noise(40, 16, 16, 3) // 2
    images[20:] = images[:20] + np.uint8(1)
    splits = DatasetSplits(labeled_images([0] * 40, "ab", images=images), identical_only=identical_only)
    cut = splits.cut(0.2, into="test", seed=0)
    assert cut.identical_only is identical_only
    train, test = ({int(path.removesuffix(".png")) % 20 for path in each.paths} for each in (cut.train, cut.test))
    assert bool(train & test) is identical_only
