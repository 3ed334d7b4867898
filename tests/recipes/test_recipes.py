from __future__ import annotations

import re

import pytest

from resnet50.data.rendered_signs import write_rendered_signs
from resnet50.recipes import RECIPES, find_task, rendered_signs, signs


def test_tasks_are_found_by_the_names_of_their_recipes():
    assert {"signs", "rendered-signs"} <= set(RECIPES)
    for name, task in RECIPES.items():
        assert find_task(name) is task
        assert task.RECIPE.name == name


def test_an_unknown_task_is_refused():
    with pytest.raises(ValueError, match="needed a recipe's name, one of signs, rendered-signs, got 'sings'"):
        find_task("sings")


def test_signs_are_read_from_a_folder_or_from_the_cache(tmp_path, monkeypatch):
    write_rendered_signs(tmp_path / "signs", train=12, test=6)
    training, test = signs.load(tmp_path / "signs")
    assert (len(training), len(test)) == (12, 6)
    monkeypatch.setenv("RESNET50_CACHE", str(tmp_path))
    assert signs.load()[0].fingerprint == training.fingerprint


def test_signs_that_are_nowhere_are_refused_with_advice(tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET50_CACHE", str(tmp_path))
    message = re.escape(
        f"{tmp_path / 'signs'}: needed train_signs.h5 and test_signs.h5, found neither or one; "
        "run 'resnet50 data fetch signs', or name their folder with --data."
    )
    with pytest.raises(FileNotFoundError, match=message):
        signs.load()


def test_rendered_signs_are_drawn_or_read(tmp_path):
    write_rendered_signs(tmp_path, train=12, test=6)
    training, test = rendered_signs.load(tmp_path)
    assert (len(training), len(test), training.dataset) == (12, 6, "rendered signs")
