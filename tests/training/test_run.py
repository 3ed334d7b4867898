from __future__ import annotations

import json
import re

import pytest

from resnet50.training.run import RunFolder, describe_environment, write_history


def test_a_new_folder_holds_recipe_and_environment(tiny_recipe, tmp_path):
    folder = RunFolder(tmp_path / "a" / "run")
    environment = {"backend": "b", "versions": {}, "machine": {}, "precision": "float32", "data": {}, "weights": None}
    folder.create(tiny_recipe, environment)
    assert folder.read() == (tiny_recipe, environment)


def test_a_folder_with_a_run_is_not_overwritten(tiny_recipe, tmp_path):
    folder = RunFolder(tmp_path)
    folder.create(tiny_recipe, {})
    before = folder.recipe.read_text()
    with pytest.raises(ValueError, match="there is a run here already; resume it, or choose another folder"):
        folder.create(tiny_recipe, {"other": 1})
    assert folder.recipe.read_text() == before


def test_a_folder_without_a_run_is_refused(tmp_path):
    message = re.escape(f"{tmp_path}: needed the folder of a run, found no recipe.json in it.")
    with pytest.raises(FileNotFoundError, match=message):
        RunFolder(tmp_path).read()


def test_damaged_files_are_named(tiny_recipe, tmp_path):
    folder = RunFolder(tmp_path)
    folder.create(tiny_recipe, {})
    folder.environment.write_text("{")
    with pytest.raises(ValueError, match=r"environment\.json: needed JSON, found something broken"):
        folder.read()
    folder.environment.write_text("{}")
    with pytest.raises(
        ValueError, match=r"environment\.json: needed backend, data, machine, precision, versions, weights"
    ):
        folder.read()
    keys = ("backend", "versions", "machine", "precision", "data", "weights")
    folder.environment.write_text(json.dumps(dict.fromkeys(keys)))
    folder.recipe.write_text("{")
    with pytest.raises(ValueError, match=r"recipe\.json: needed a recipe in JSON, found broken JSON"):
        folder.read()


def test_the_history_has_a_column_for_every_name(tmp_path):
    write_history(tmp_path / "h.csv", [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25, "val_loss": 1.5}])
    assert (tmp_path / "h.csv").read_text().split() == ["epoch,loss,val_loss", "1,0.5,", "2,0.25,1.5"]


def test_the_environment_names_versions_and_machine():
    environment = describe_environment()
    assert {"python", "resnet50", "keras", "numpy", environment["backend"]} <= set(environment["versions"])
    assert environment["machine"]["threads"] >= 1
    assert environment["commit"] is None or re.fullmatch("[0-9a-f]{40}(-dirty)?", environment["commit"])
