from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from factories import classifier, tiny_model
from resnet50 import Classifier
from resnet50.training.recipe import Recipe
from resnet50.training.run import RunFolder

KINDS = ("I_Basalt", "I_Pumice", "M_Slate", "S_Chert")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    root, rng = tmp_path_factory.mktemp("rocks"), np.random.default_rng(0)
    for name, count, ending in (("360", 5, ""), ("120", 4, "_120")):
        (root / f"{name} Rocks").mkdir()
        for kind in KINDS:
            for number in range(count):
                pixels = rng.integers(0, 256, (4, 4, 3)).astype("uint8")
                large = Image.fromarray(pixels).resize((40, 40))
                large.save(root / f"{name} Rocks" / f"{kind}_{number}{ending}.jpg")
        np.savetxt(root / f"mds_{name}.txt", rng.standard_normal((count * len(KINDS), 8)))
    return root


def saved(path: Path, class_names: tuple[str, ...], *, width: int = 32) -> Path:
    model = tiny_model(len(class_names), size=(32, width))
    classifier(model, class_names, name="rocks", recipe={"name": "rocks"}).save(path)
    return path


@pytest.fixture
def model(tmp_path) -> Path:
    (tmp_path / "run").mkdir()
    return saved(tmp_path / "run" / "model.keras", ("Basalt", "Chert", "Pumice", "Slate"))


def test_a_table_and_two_files_beside_the_model(command, numbers, model, folder):
    status, out, err = command("rocks", "similarity", model, "--data", folder, "--permutations", 20)
    assert (status, err) == (0, "")
    told = json.loads((model.parent / "similarity.json").read_text())
    assert (model.parent / "similarity.png").read_bytes().startswith(b"\x89PNG")
    assert told["model"] == str(model)
    found = told["similarity"]
    assert (found["permutations"], found["fitted"]["pictures"], found["held_out"]["pictures"]) == (20, 20, 16)
    lines = out.splitlines()
    for name, key in (("overall", "overall"), ("1 lightness", 0), ("8 hue", 7)):
        (line,) = (line for line in lines if line.startswith(name))
        for part in ("fitted", "held_out", "realigned"):
            held = found[part]["overall"] if key == "overall" else found[part]["dimensions"][key]
            assert f"{held['value']:z.2f}" in line
            assert f"{held['p']:.3f}" in line
    assert ["20", "16", "16"] in [numbers(line) for line in lines]  # the pictures that the columns are on
    for name, classes in (("kinds", "4"), ("categories", "3")):
        assert ["16", classes, f"{told['test'][name]['accuracy']:.1%}"] in [numbers(line)[:3] for line in lines]
    assert lines[-2:] == [str(model.parent / "similarity.json"), str(model.parent / "similarity.png")]


def test_the_accuracies_are_those_of_the_model(command, model, folder):
    _, out, _ = command("rocks", "similarity", model, "--data", folder, "--permutations", 1, "--json")
    test = json.loads(out)["test"]
    from resnet50.recipes import rocks

    split = rocks.load(folder, side=32).test
    said = Classifier.load(model).probabilities(split.images)
    assert test["kinds"]["accuracy"] == np.mean(said.argmax(axis=1) == split.labels)
    igneous, sedimentary, metamorphic = said[:, 0] + said[:, 2], said[:, 1], said[:, 3]
    parents = np.stack([igneous, metamorphic, sedimentary], axis=1).argmax(axis=1)
    assert test["categories"]["accuracy"] == np.mean(parents == np.array([0, 2, 0, 1])[split.labels])


def test_json_is_what_the_file_holds_wherever_it_is_put(command, model, folder, tmp_path):
    words = ("rocks", "similarity", model.parent, "--data", folder, "--permutations", 1, "--out", tmp_path / "new")
    status, out, err = command(*words, "--json")
    assert (status, err) == (0, "")
    assert json.loads(out) == json.loads((tmp_path / "new" / "similarity.json").read_text())
    assert (tmp_path / "new" / "similarity.png").exists()
    assert not (model.parent / "similarity.json").exists()


def test_a_run_knows_where_its_pictures_are(command, refused, model, folder):
    noted = dict.fromkeys(("backend", "versions", "machine", "precision", "weights")) | {
        "data": {"path": str(folder), "fingerprints": {}}
    }
    RunFolder(model.parent).create(Recipe(name="rocks", epochs=4), noted)
    status, _, err = command("rocks", "similarity", model.parent, "--permutations", 1)
    assert (status, err) == (0, "")
    assert (model.parent / "similarity.json").exists()
    noted["data"]["path"] = "moved"
    (model.parent / "recipe.json").unlink()
    RunFolder(model.parent).create(Recipe(name="rocks", epochs=4), noted)
    words = ("rocks", "similarity", model.parent, "--permutations", 1)
    refused(words, "moved", "360 Rocks", "120 Rocks", "--data")


def test_a_network_of_other_classes_is_compared_without_accuracy(command, numbers, folder, tmp_path):
    other = saved(tmp_path / "other.keras", ("cat", "dog"))
    status, out, _ = command("rocks", "similarity", other, "--data", folder, "--permutations", 1)
    assert status == 0
    assert ["16", "4"] not in [numbers(line)[:2] for line in out.splitlines()]
    assert out.count("%") == 1  # of the variance
    assert json.loads((tmp_path / "similarity.json").read_text())["test"] == {}


@pytest.mark.parametrize(
    ("change", "values"),
    [
        ("nowhere", ("nowhere.keras",)),
        ("no data", ("360 Rocks", "120 Rocks", "--data")),
        ("not square", ("wide.keras", 48, 32)),
        ("no permutation", ("permutations", 1, 0)),
    ],
)
def test_what_cannot_be_compared_is_said_in_one_line(change, values, refused, model, folder, tmp_path):
    words = ["--data", folder]
    if change == "nowhere":
        model = tmp_path / "nowhere.keras"
    elif change == "no data":
        words = []
    elif change == "not square":
        model = saved(tmp_path / "wide.keras", ("cat", "dog"), width=48)
    else:
        words += ["--permutations", 0]
    refused(("rocks", "similarity", model, *words), *values)
    assert not (tmp_path / "similarity.json").exists()


def test_an_action_is_needed(command):
    status, _, err = command("rocks")
    assert status == 2
    assert "ACTION" in err
