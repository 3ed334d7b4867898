from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from factories import classifier, tiny_model, tiny_recipe
from resnet50.datasets.source import DataSource
from resnet50.inference.classifier import Classifier
from resnet50.training.run import RunDirectory, RunRecord

CLASSES = ("I_Basalt", "I_Pumice", "M_Slate", "S_Chert")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    root, rng = tmp_path_factory.mktemp("rocks"), np.random.default_rng(0)
    for name, count, ending in (("360", 5, ""), ("120", 4, "_120")):
        (root / f"{name} Rocks").mkdir()
        for rock in CLASSES:
            for number in range(count):
                pixels = rng.integers(0, 256, (4, 4, 3)).astype("uint8")
                large = Image.fromarray(pixels).resize((40, 40))
                large.save(root / f"{name} Rocks" / f"{rock}_{number}{ending}.jpg")
        np.savetxt(root / f"mds_{name}.txt", rng.standard_normal((count * len(CLASSES), 8)))
    return root


def saved(path: Path, class_names: tuple[str, ...], *, width: int = 32) -> Path:
    model = tiny_model(len(class_names), size=(32, width))
    classifier(model, class_names, name="rocks", recipe={"name": "rocks"}).save(path)
    return path


@pytest.fixture
def model(tmp_path) -> Path:
    (tmp_path / "run").mkdir()
    return saved(tmp_path / "run" / "model.keras", ("Basalt", "Chert", "Pumice", "Slate"))


@pytest.mark.slow
def test_a_table_and_two_files_beside_the_model(command, numbers, model, folder):
    status, out, err = command("rocks", "similarity", model, "--data", folder, "--permutations", 20)
    assert (status, err) == (0, "")
    written = json.loads((model.parent / "similarity.json").read_text())
    assert (model.parent / "similarity.png").read_bytes().startswith(b"\x89PNG")
    assert written["model"] == str(model)
    similarity = written["similarity"]
    assert (similarity["permutations"], similarity["fitted"]["images"], similarity["held_out"]["images"]) == (
        20,
        20,
        16,
    )
    lines = out.splitlines()
    for name, key in (("overall", "overall"), ("1 lightness", 0), ("8 hue", 7)):
        (line,) = (line for line in lines if line.startswith(name))
        for split in ("fitted", "held_out", "realigned"):
            agreement = similarity[split]
            expected = agreement["overall"] if key == "overall" else agreement["dimensions"][key]
            assert f"{expected['value']:z.2f}" in line
            assert f"{expected['p']:.3f}" in line
    assert ["20", "16", "16"] in [numbers(line) for line in lines]  # the images that the columns are on
    for name, classes in (("classes", "4"), ("categories", "3")):
        assert ["16", classes, f"{written['test'][name]['accuracy']:.1%}"] in [numbers(line)[:3] for line in lines]
    assert lines[-2:] == [str(model.parent / "similarity.json"), str(model.parent / "similarity.png")]


@pytest.mark.slow
def test_the_accuracies_are_those_of_the_model(command, model, folder):
    _, out, _ = command("rocks", "similarity", model, "--data", folder, "--permutations", 1, "--json")
    test = json.loads(out)["test"]
    from resnet50.datasets import rocks

    dataset = rocks.load(folder, image_size=32).test
    probabilities = Classifier.load(model).probabilities(dataset.images)
    assert test["classes"]["accuracy"] == np.mean(probabilities.argmax(axis=1) == dataset.labels)
    igneous, sedimentary, metamorphic = (
        probabilities[:, 0] + probabilities[:, 2],
        probabilities[:, 1],
        probabilities[:, 3],
    )
    parents = np.stack([igneous, metamorphic, sedimentary], axis=1).argmax(axis=1)
    assert test["categories"]["accuracy"] == np.mean(parents == np.array([0, 2, 0, 1])[dataset.labels])


@pytest.mark.slow
def test_json_is_what_the_file_holds_wherever_it_is_put(command, model, folder, tmp_path):
    words = ("rocks", "similarity", model.parent, "--data", folder, "--permutations", 1, "--out", tmp_path / "new")
    status, out, err = command(*words, "--json")
    assert (status, err) == (0, "")
    assert json.loads(out) == json.loads((tmp_path / "new" / "similarity.json").read_text())
    assert (tmp_path / "new" / "similarity.png").exists()
    assert not (model.parent / "similarity.json").exists()


@pytest.mark.slow
def test_the_images_are_where_the_run_recorded_them(command, refused, model, folder, monkeypatch):
    def record(path):
        recorded = RunRecord(
            recipe=tiny_recipe(name="rocks"),
            source=DataSource("rocks", str(path)),
            fingerprints={},
            environment={"backend": "b", "versions": {}, "machine": {}, "commit": None},
            dataset="rocks",
            precision="float32",
        )
        (model.parent / "recipe.json").unlink(missing_ok=True)
        RunDirectory(model.parent).create(recorded)

    record(folder)
    status, _, err = command("rocks", "similarity", model.parent, "--permutations", 1)
    assert (status, err) == (0, "")
    assert (model.parent / "similarity.json").exists()
    record("moved")
    words = ("rocks", "similarity", model.parent, "--permutations", 1)
    refused(words, "moved", "360 Rocks", "120 Rocks", "--data")
    line = refused((*words, "--data", "missing"), "missing", "360 Rocks", "120 Rocks")
    assert "--data" not in line  # it was the place that the command named, not that of the run


@pytest.mark.slow
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
        ("no place", ("taken", "a file")),
    ],
)
def test_an_impossible_comparison_is_refused_in_one_line(change, values, refused, model, folder, tmp_path):
    words = ["--data", folder]
    if change == "nowhere":
        model = tmp_path / "nowhere.keras"
    elif change == "no data":
        words = []
    elif change == "not square":
        model = saved(tmp_path / "wide.keras", ("cat", "dog"), width=48)
    elif change == "no place":
        (tmp_path / "taken").touch()
        words = ["--data", "not read", "--out", tmp_path / "taken" / "new"]
    else:
        words += ["--permutations", 0]
    refused(("rocks", "similarity", model, *words), *values)
    assert not (tmp_path / "similarity.json").exists()


def test_an_action_is_needed(command):
    status, _, err = command("rocks")
    assert status == 2
    assert "ACTION" in err
