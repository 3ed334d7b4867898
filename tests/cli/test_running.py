from __future__ import annotations

import json

import h5py
import pytest

from factories import dataset, tiny_recipe
from resnet50.cli.running import announce, finish
from resnet50.data.splits import DatasetSplits
from resnet50.recipes import folder as recipes
from resnet50.training.run import RunDirectory


@pytest.fixture
def folder(tmp_path):
    """A run directory with the record of a run of four epochs."""
    folder = RunDirectory(tmp_path / "a run")
    folder.checkpoint.parent.mkdir(parents=True)
    folder.recipe.write_text(tiny_recipe().to_json())
    record = {"backend": "b", "versions": {}, "machine": {}, "commit": None, "precision": "float32", "weights": None}
    record["data"] = {"name": "pets", "fingerprints": {}, "source": None}
    folder.environment.write_text(json.dumps(record))
    return folder


def stop(folder, capsys, interruption):
    def train():
        raise interruption

    with pytest.raises(type(interruption)):
        finish(folder, train)
    return capsys.readouterr().err


@pytest.mark.parametrize("interruption", [KeyboardInterrupt(), SystemExit(143)])
def test_an_interrupted_run_says_what_is_stored_and_how_to_resume(interruption, folder, capsys, numbers):
    with h5py.File(folder.checkpoint, "w") as file:
        position = {"phase": 0, "began": 0, "epoch": 3}
        file["state"] = json.dumps({**position, "stopped": False, "callbacks": [], "attributes": []})
    error = stop(folder, capsys, interruption)
    assert f"resnet50 train --resume '{folder.path}'" in error
    assert "over" not in error
    assert numbers(error) == ["3", "4"]


def test_a_run_without_a_state_starts_over(folder, capsys, numbers):
    error = stop(folder, capsys, KeyboardInterrupt())
    assert f"start over: resnet50 train --resume '{folder.path}'" in error
    assert numbers(error) == []


def test_a_run_that_does_not_exist_yet_is_not_resumed(tmp_path, capsys):
    assert "--resume" not in stop(RunDirectory(tmp_path / "run"), capsys, KeyboardInterrupt())


def test_a_training_says_where_its_images_are_smaller_and_which_option_has_no_effect(capsys, numbers):
    splits = DatasetSplits(dataset([0, 1] * 10), dataset([0, 1]))

    def announced(recipe, **options):
        announce("Training", recipe, splits, **options)
        return capsys.readouterr().out.splitlines()

    assert len(announced(recipes.FINE_TUNED, thorough=True)) == 1
    assert len(announced(recipes.RECIPE)) == 1
    _, sizes, thorough = announced(recipes.ALL_LAYERS, thorough=True)
    assert numbers(sizes) == ["160", "160", "224", "224"]
    assert "--thorough" in thorough
