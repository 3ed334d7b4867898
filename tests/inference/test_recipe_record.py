from __future__ import annotations

import json

import pytest

from factories import raises
from resnet50.inference.recipe_record import check_recipe
from resnet50.recipes import RECIPES

PHASE = {"trainable": "all", "epochs": 3, "learning_rate": 0.1, "schedule": "cosine"}


@pytest.mark.parametrize(
    "recipe", [recipe for task in RECIPES.values() for recipe in task.VARIANTS.values()], ids=lambda each: each.name
)
def test_every_recipe_of_a_task_is_a_record(recipe):
    check_recipe(json.loads(recipe.to_json()))


@pytest.mark.parametrize(
    "recipe", [{}, {"weights": None, "fit": None}, {"mine": [1], "note": {"epochs": "x"}, "phase": 1}]
)
def test_a_record_made_by_hand_may_lack_anything_and_have_anything_else(recipe):
    check_recipe(recipe)


@pytest.mark.parametrize(
    ("recipe", "name", "got"),
    [
        ({"image_size": "64"}, "image_size", "'64'"),
        ({"image_size": True}, "image_size", "True"),
        ({"image_size": None}, "image_size", "None"),
        ({"seed": 10**400}, "seed", "0"),
        ({"validation_split": float("nan")}, "validation_split", "nan"),
        ({"weight_decay": float("inf")}, "weight_decay", "inf"),
        ({"weights": 3}, "weights", "3"),
        ({"validation_split": "a"}, "validation_split", "'a'"),
        ({"augmentation": 1}, "augmentation", "1"),
        ({"augmentation": {"crop_area": "1"}}, "crop_area", "'1'"),
        ({"augmentation": {"shift": [1]}}, "shift", "[1]"),
        ({"augmentation": {"shift": 5}}, "shift", "5"),
        ({"augmentation": {"flip": "no"}}, "flip", "'no'"),
        ({"fit": {"mode": "x"}}, "fit", "'x'"),
        ({"fit": {"zzz": 1}}, "fit", "zzz"),
        ({"image_size": -5}, "image_size", "-5"),
        ({"seed": -1}, "seed", "-1"),
        ({"validation_split": -1}, "validation_split", "-1"),
        ({"augmentation": None}, "augmentation", "None"),
        ({"fit": "crop"}, "fit", "'crop'"),
        ({"phases": 2}, "phases", "2"),
        ({"phases": None}, "phases", "None"),
        ({"phases": [PHASE, 2]}, "phase 2", "2"),
        ({"phases": [None]}, "phase 1", "None"),
        ({"phases": [PHASE | {"epochs": None}]}, "phase 1 epochs", "None"),
        ({"phases": [{"c_values": [1.0, "x"]}]}, "c_values", "'x'"),
        ({"phases": [PHASE | {"epochs": "3"}]}, "epochs", "'3'"),
        ({"phases": [PHASE | {"learning_rate": "x"}]}, "learning_rate", "'x'"),
        ({"phases": [PHASE, {"c_values": 1.0, "views": 1}]}, "c_values", "1.0"),
    ],
)
def test_a_value_of_another_type_is_named(recipe, name, got):
    with raises(ValueError, name, got):
        check_recipe(recipe)
