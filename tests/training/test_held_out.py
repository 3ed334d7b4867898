"""What validation images decide, and the half of them that decides nothing."""

from __future__ import annotations

import numpy as np
import pytest

import factories
from factories import dataset
from resnet50.training.held_out import Misclassified, chooses, halves
from resnet50.training.phases import LinearProbe, Phase

LAST = Phase(epochs=2)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, False),
        ({"restore_best": True}, True),
        ({"phases": (Phase(epochs=2, patience=1),)}, True),
        ({"phases": (Phase(epochs=2, schedule="plateau", lr_factor=0.5, lr_patience=1),)}, True),
        ({"phases": (LinearProbe(c_values=(1.0,)), LAST)}, False),
        ({"phases": (LinearProbe(c_values=(0.1, 1.0)), LAST)}, True),
        ({"phases": (LAST, Phase(epochs=2, min_error=0.1))}, True),
    ],
)
def test_a_recipe_chooses_by_what_it_keeps_ends_or_leaves_out(changes, expected):
    assert chooses(factories.tiny_recipe(validation_split=0.25, **changes)) is expected


def test_the_halves_have_every_image_once_and_keep_groups_together():
    groups = [f"g{index // 4}" for index in range(80)]
    whole = dataset(np.arange(80) // 4 % 2, groups=groups)
    first, second = halves(whole, seed=0)
    assert sorted(first.paths + second.paths) == sorted(whole.paths)
    assert len(second) == 40
    assert not set(first.groups) & set(second.groups)
    assert halves(whole, seed=0)[1].paths == second.paths
    assert halves(whole, seed=1)[1].paths != second.paths


def test_too_few_images_for_sets_are_not_cut():
    whole = dataset(np.arange(36) % 2)
    assert halves(whole, seed=0) == (whole, None)
    assert len(halves(dataset(np.arange(40) % 2), seed=0)[1]) == 20


def test_images_that_belong_together_are_not_cut():
    whole = dataset(np.arange(80) % 2, groups=["one"] * 80)
    assert halves(whole, seed=0) == (whole, None)


@pytest.mark.parametrize(
    ("count", "images", "min_error", "few"),
    [
        (0, 24, 0.03, True),
        (1, 24, 0.03, True),  # above the share, and a single image
        (2, 24, 0.03, False),
        (3, 100, 0.03, True),
        (4, 100, 0.03, False),
        (7, 12, 7 / 12, True),
        (29, 100, 0.29, True),
        (2, 2, 1.0, True),
        (1, 10, 0.03, True),
        (1, 9, 0.03, False),  # more than a tenth
        (0, 1, 0.03, True),
    ],
)
def test_a_share_or_one_image_is_too_few_to_decide_by(count, images, min_error, few):
    assert Misclassified(count, images).at_most(min_error) is few
