from __future__ import annotations

import json
import re

import pytest

from factories import raises
from resnet50.data.split import Unreadable
from resnet50.training.run import RunFolder, describe_environment, write_history, write_unreadable


def test_a_new_folder_holds_recipe_and_environment(tiny_recipe, tmp_path):
    folder = RunFolder(tmp_path / "a" / "run")
    data = {"fingerprints": {"training": "0"}}
    environment = {"backend": "b", "versions": {}, "machine": {}, "precision": "float32", "data": data, "weights": None}
    folder.create(tiny_recipe, environment)
    assert folder.read() == (tiny_recipe, environment)


def test_a_folder_with_a_run_is_not_overwritten(tiny_recipe, tmp_path):
    folder = RunFolder(tmp_path)
    folder.create(tiny_recipe, {})
    before = folder.recipe.read_text()
    with raises(ValueError, tmp_path):
        folder.create(tiny_recipe, {"other": 1})
    assert folder.recipe.read_text() == before


def test_a_folder_without_a_run_is_refused(tmp_path):
    with raises(FileNotFoundError, tmp_path, "recipe.json"):
        RunFolder(tmp_path).read()


@pytest.mark.parametrize("data", [{}, {"fingerprint": "0", "test_fingerprint": "1"}, "somewhere"])
def test_a_run_that_does_not_tell_its_pictures_is_refused(data, tiny_recipe, tmp_path):
    folder = RunFolder(tmp_path)
    names = ("backend", "versions", "machine", "precision", "weights")
    folder.create(tiny_recipe, {**dict.fromkeys(names), "data": data})
    with raises(ValueError, folder.environment, "fingerprints", "data"):
        folder.read()


def test_what_a_killed_process_had_begun_is_removed(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / ".partial-a").write_text("half")
    (tmp_path / ".partial-export").mkdir()
    (tmp_path / ".partial-export" / "model.onnx").write_text("half")
    (tmp_path / "model.keras").write_text("whole")
    RunFolder(tmp_path).remove_leftovers()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["checkpoints", "model.keras"]


def test_what_was_left_out_is_a_table(tmp_path):
    files = (Unreadable("a, b.jpg", "it is cut off"), Unreadable("c\udcff.png", 'no "picture"'))
    write_unreadable(tmp_path / "unreadable.csv", files)
    text = (tmp_path / "unreadable.csv").read_bytes()
    assert text == b'path,reason\r\n"a, b.jpg",it is cut off\r\nc\xff.png,"no ""picture"""\r\n'


def test_damaged_files_are_named(tiny_recipe, tmp_path):
    folder = RunFolder(tmp_path)
    folder.create(tiny_recipe, {})
    folder.environment.write_text("{")
    with raises(ValueError, folder.environment, "line 1 column 2"):
        folder.read()
    folder.environment.write_text("{}")
    keys = ("backend", "versions", "machine", "precision", "data", "weights")
    with raises(ValueError, folder.environment, *keys):
        folder.read()
    folder.environment.write_text(json.dumps({**dict.fromkeys(keys), "data": {"fingerprints": {}}}))
    folder.recipe.write_text("{")
    with raises(ValueError, folder.recipe, "line 1 column 2"):
        folder.read()


def test_the_history_has_a_column_for_every_name(tmp_path):
    write_history(tmp_path / "h.csv", [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25, "val_loss": 1.5}])
    assert (tmp_path / "h.csv").read_text().split() == ["epoch,loss,val_loss", "1,0.5,", "2,0.25,1.5"]


def test_the_environment_names_versions_and_machine():
    environment = describe_environment()
    assert {"python", "resnet50", "keras", "numpy", environment["backend"]} <= set(environment["versions"])
    assert environment["machine"]["threads"] >= 1
    assert environment["commit"] is None or re.fullmatch("[0-9a-f]{40}(-dirty)?", environment["commit"])
