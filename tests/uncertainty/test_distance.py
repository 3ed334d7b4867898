"""Cosine distances to the nearest training images."""

from __future__ import annotations

import numpy as np

from resnet50.uncertainty import distance
from resnet50.uncertainty.distance import nearest_distances, unit

ACROSS = np.array([[1, 0], [0, 2], [3, 3]], np.float32)


def test_features_have_length_1_and_those_without_direction_stay_0():
    np.testing.assert_allclose(np.linalg.norm(unit(ACROSS), axis=1), 1, atol=1e-6)
    assert unit(np.zeros((1, 2))).tolist() == [[0, 0]]


def test_the_distance_is_the_mean_over_the_nearest():
    half = 1 - np.sqrt(0.5)
    np.testing.assert_allclose(nearest_distances(np.array([[5, 0]]), ACROSS, 1), [0], atol=1e-6)
    np.testing.assert_allclose(nearest_distances(np.array([[5, 0]]), ACROSS, 2), [half / 2], atol=1e-6)
    np.testing.assert_allclose(nearest_distances(np.array([[5, 0]]), ACROSS, 9), [(half + 1) / 3], atol=1e-6)


def test_images_of_one_group_are_not_compared():
    groups = np.array([0, 1, 1])
    found = nearest_distances(ACROSS, ACROSS, 1, groups=(groups, groups))
    np.testing.assert_allclose(found, [1 - np.sqrt(0.5), 1, 1 - np.sqrt(0.5)], atol=1e-6)
    assert nearest_distances(ACROSS[:1], ACROSS[:1], 1, groups=(groups[:1], groups[:1])).tolist() == [np.inf]


def test_blocks_do_not_change_the_distances(monkeypatch):
    rng = np.random.default_rng(0)
    images, reference = rng.normal(size=(7, 4)), rng.normal(size=(9, 4))
    groups = np.arange(7) % 3, np.arange(9) % 3
    whole = nearest_distances(images, reference, 3, groups=groups)
    monkeypatch.setattr(distance, "_BLOCK", 2)
    monkeypatch.setattr(distance, "_FEW", 4)
    np.testing.assert_allclose(nearest_distances(images, reference, 3, groups=groups), whole, atol=1e-6)
