from __future__ import annotations

import json

import numpy as np
import pytest

from factories import classifier, noise, raises, tiny_model, tiny_recipe, write_image
from resnet50.datasets.source import DataSource
from resnet50.evaluation.rock_similarity import rock_similarity
from resnet50.training.environment import describe_environment
from resnet50.training.record import RunRecord
from resnet50.training.run import RunDirectory

ROCKS = ("I_Basalt", "I_Pumice", "M_Slate", "S_Chert")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A small set of rocks with random judgments."""
    monkeypatch.setenv("RESNET50_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    for name, count, ending in (("360", 5, ""), ("120", 4, "_120")):
        for label, rock in enumerate(ROCKS):
            for number in range(count):
                path = tmp_path / "rocks" / f"{name} Rocks" / f"{rock}_{number}{ending}.png"
                write_image(path, noise(40, 40, 3, seed=100 * count + 10 * label + number))
        np.savetxt(tmp_path / "rocks" / f"mds_{name}.txt", rng.standard_normal((count * len(ROCKS), 8)))
    return tmp_path / "rocks"


def saved(path, class_names):
    classifier(tiny_model(len(class_names), size=(32, 32)), class_names, recipe={"name": "rocks"}).save(path)
    return path


@pytest.mark.slow
def test_the_files_hold_what_is_returned(folder, tmp_path):
    model = saved(tmp_path / "model.keras", ("Basalt", "Chert", "Pumice", "Slate"))
    result = rock_similarity(model, folder, permutations=3, out=tmp_path / "out")
    assert (result.similarity.fitted.images, result.similarity.held_out.images) == (20, 16)
    assert set(result.reports) == {"classes", "categories"}
    assert json.loads((tmp_path / "out" / "similarity.json").read_text()) == json.loads(json.dumps(result.to_dict()))
    assert (tmp_path / "out" / "similarity.png").is_file()


def test_the_place_of_the_images_must_be_known(tmp_path):
    model = saved(tmp_path / "model.keras", ("a", "b"))
    with raises(FileNotFoundError, model, "360 Rocks", "120 Rocks"):
        rock_similarity(model)


def test_the_images_of_another_task_are_no_rocks(tmp_path):
    run = RunDirectory(tmp_path / "run")
    source = DataSource("folder", str(tmp_path / "pets"))
    record = RunRecord(
        recipe=tiny_recipe(),
        source=source,
        fingerprints={},
        environment=describe_environment(),
        dataset="pets",
        precision="float32",
    )
    run.create(record)
    saved(run.model, ("a", "b"))
    with raises(FileNotFoundError, run.model, "360 Rocks") as caught:
        rock_similarity(run.path)
    assert "pets" not in str(caught.value)
