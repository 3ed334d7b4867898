from __future__ import annotations

import sys

import numpy as np
import pytest

from resnet50.data import near_duplicate_index
from resnet50.data.near_duplicate_index import faiss, indexed_pairs

installed = pytest.mark.usefixtures("needs_faiss")


@pytest.fixture
def needs_faiss():
    pytest.importorskip("faiss", reason="the index is one of faiss")


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """Smooth images, of which two fifths are noisy versions or mirror images of others, up to 9 gray levels apart."""
    rng = np.random.default_rng(0)
    smooth = np.repeat(np.repeat(rng.normal(0, 50, (900, 4, 4, 3)), 4, axis=1), 4, axis=2)
    smooth = smooth + rng.normal(120, 40, (900, 1, 1, 1)) + rng.normal(0, 10, (900, 16, 16, 3))
    versions = smooth[rng.integers(0, 900, 600)]
    versions[300:] = versions[300:, :, ::-1]
    versions += rng.uniform(0, 9, (600, 1, 1, 1)) * rng.choice([-1, 1], (600, 16, 16, 3))
    both = np.clip(np.concatenate([smooth, versions]), 0, 255).astype(np.uint8)
    both[1400:1440] = both[3]  # copies
    return both[rng.permutation(1500)]


def compared_each_with_each(images, *, mirrored):
    points = images.reshape(len(images), 768).astype(float)
    others = (images[:, :, ::-1] if mirrored else images).reshape(len(images), 768).astype(float)
    squares = (points**2).sum(axis=1)[:, None] + (others**2).sum(axis=1) - 2 * points @ others.T
    first, second = np.nonzero(np.triu(squares < 768 * 6.0**2, 1))
    return first, second, np.sqrt(squares[first, second] / 768)


@installed
@pytest.mark.parametrize("lists", [1, 9, 23])
def test_pairs_are_those_of_a_comparison_of_each_with_each(images, monkeypatch, lists):
    if lists < 23:  # as many as there are without a change
        for name, value in {"_LISTS": lists, "_BLOCK": 400, "_SCANNED": 9000, "_VERIFIED": 30}.items():
            monkeypatch.setattr(near_duplicate_index, name, value)
    steps: list[int] = []
    for mirrored, found in enumerate(indexed_pairs(images, np.zeros(1500, bool), progress=steps.append)):
        expected = compared_each_with_each(images, mirrored=mirrored)
        assert len(expected[0]) > 150
        assert expected[2].max() > 5.9
        for column, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(column, other)
    assert steps == sorted(steps)
    assert steps[-1] == 1500


@installed
@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_coordinates_that_are_rounded_hide_no_pair(order):
    # means of cells that bytes, or a processor's instructions that cut fractions off, would put too far apart
    cells = np.array([[101] * 15 + [100], [107] * 9 + [106] * 7], np.uint8).reshape(2, 4, 4)
    pair = np.repeat(np.tile(cells, (1, 4, 4))[..., None], 3, axis=3)[order]
    for found in indexed_pairs(pair, np.zeros(2, bool)):
        assert [found.first.tolist(), found.second.tolist()] == [[0], [1]]
        assert found.distance == pytest.approx([5.646], abs=1e-3)


@installed
def test_images_that_are_left_out_are_in_no_pair(images):
    left_out = np.arange(1500) % 3 == 0
    for mirrored, found in enumerate(indexed_pairs(images, left_out)):
        first, second, _ = compared_each_with_each(images, mirrored=mirrored)
        both = ~(left_out[first] | left_out[second])
        np.testing.assert_array_equal(found.first, first[both])
        np.testing.assert_array_equal(found.second, second[both])


@installed
def test_more_pairs_than_can_be_stored_are_none(images, monkeypatch):
    most = max(len(pairs.first) for pairs in indexed_pairs(images, np.zeros(1500, bool)))
    for name, value, stored in (
        ("MAX_STORED_PAIRS", most, True),
        ("MAX_STORED_PAIRS", most - 1, False),
        ("_CANDIDATES", 0, False),
    ):
        with monkeypatch.context() as changed:
            changed.setattr(near_duplicate_index, name, value)
            assert (indexed_pairs(images, np.zeros(1500, bool)) is not None) == stored


@installed
def test_no_images_have_no_pairs(images):
    for pairs in indexed_pairs(images, np.ones(1500, bool)):
        assert [len(column) for column in pairs] == [0, 0, 0]


def test_without_the_package_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ImportError, match=r"faiss.*200,000.*resnet50\[records\]"):
        faiss()
