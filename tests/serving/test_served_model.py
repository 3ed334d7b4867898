from __future__ import annotations

import json

import pytest

from factories import classifier, tiny_model
from resnet50.inference.locate import Located, locate
from resnet50.serving.served_model import describe, model_name


def test_paths_and_numbers_of_the_training_are_not_described():
    secret = {"name": "tiny", "weights": "/home/me/weights.h5"}
    model = describe(classifier(tiny_model(size=(40, 32)), recipe=secret, metrics={"accuracy": 0.5}), "pets")
    text = json.dumps(model.to_dict())
    assert "weights" not in text
    assert json.loads(text)["image_size"] == [40, 32]
    assert (model.name, model.class_names, model.metrics) == ("pets", ("a", "b", "c"), {"accuracy": 0.5})


@pytest.mark.parametrize(
    ("files", "path", "name"),
    [
        (["runs/photos/model.keras", "runs/photos/recipe.json"], "runs/photos", "photos"),
        (["runs/photos/model.keras", "runs/photos/recipe.json"], "runs/photos/model.keras", "photos"),
        (["pets.keras"], "pets.keras", "pets"),
        (["shipped/resnet50.json"], "shipped", "shipped"),
    ],
)
def test_a_model_is_named_by_its_run_export_or_file(tmp_path, monkeypatch, files, path, name):
    monkeypatch.chdir(tmp_path)
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("{}")
    assert model_name(locate(path)) == name


def test_the_folder_that_one_is_in_has_a_name(tmp_path, monkeypatch):
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path / "photos")
    (tmp_path / "photos" / "resnet50.json").write_text("{}")
    located = locate(".")
    assert isinstance(located, Located)
    assert model_name(located) == "photos"
