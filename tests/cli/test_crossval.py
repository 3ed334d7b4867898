"""``resnet50 crossval`` and ``resnet50 check --labels`` on a network of seconds."""

from __future__ import annotations

import csv
import json
import re

import numpy as np
import pytest

from factories import fill_random, noise, write_image
from resnet50.build import build_resnet50
from resnet50.model import Stage
from resnet50.training.phases import LinearProbe, Phase


@pytest.fixture
def pets(tmp_path):
    """Class folders with eight images each: dark cats and bright dogs."""
    for label, name in enumerate(("cat", "dog")):
        for k in range(8):
            pixels = noise(32, 32, 3, seed=(label, k)) // 3 + np.uint8(150 * label)
            write_image(tmp_path / "pets" / name / f"{k}.png", pixels)
    return tmp_path / "pets"


@pytest.fixture
def weights(tiny_task, tmp_path):
    stages = tuple(Stage(*row) for row in tiny_task.RECIPE.stages)
    path = tmp_path / "weights.keras"
    fill_random(build_resnet50(3, input_shape=(32, 32, 3), stages=stages), 4).save(path)
    return path


@pytest.fixture
def own(own_task, weights, monkeypatch):
    """The task of one's own images, with a network of seconds."""
    from resnet50 import recipes

    phases = (LinearProbe(c_values=(0.1,)), Phase(epochs=1, min_error=1.0))  # the second is always left out
    task = own_task(fine_tuned={"phases": phases, "weights": str(weights)})
    monkeypatch.setitem(recipes.RECIPES, "folder", task)


def test_the_scores_are_printed_and_three_files_written(command, own, pets, tmp_path, numbers):
    status, out, err = command("crossval", pets, "--folds", 4, "--seeds", 2, "--out", "cv", "--offline")
    assert (status, err) == (0, "")
    first, second, remark, _, cat, dog, page = out.splitlines()
    assert {"4", "16"} <= set(numbers(first.replace("-fold", " fold")))
    assert "2" in numbers(second)
    assert (cat.split()[0], cat.split()[-1], dog.split()[0]) == ("cat", "8", "dog")
    assert "weights.keras" in remark
    assert page == "cv/crossval.html"
    scores = json.loads((tmp_path / "cv" / "crossval.json").read_text())
    assert (scores["images"], scores["folds"], len(scores["fold_scores"])) == (16, 4, 8)
    with (tmp_path / "cv" / "predictions.csv").open(newline="") as file:
        assert len(list(csv.reader(file))) == 1 + 2 * 16


def test_a_number_of_trainings_needs_full(refused, own, pets):
    refused(["crossval", pets, "--epochs", 3], "--epochs", "--full")
    refused(["crossval", pets, "--folds", 1], 2)


def test_a_folder_that_cannot_be_written_is_refused_before_any_work(refused, tmp_path):
    (tmp_path / "cv").touch()
    refused(["crossval", "signs", "--out", "cv"], "cv", "a file")


@pytest.mark.parametrize("words", [("crossval",), ("check", "--labels")])
def test_features_may_be_those_of_a_network_of_another_depth(refused, own, pets, weights, words):
    refused([*words, pets, "--depth", 18, "--weights", weights], "50 where stages are given")  # as the task's own are


@pytest.mark.slow
def test_in_full_there_is_a_run_for_each_fold(command, own, pets, tmp_path):
    words = ("crossval", pets, "--full", "--folds", 2, "--out", "cv", "--weights", "none")
    status, out, err = command(*words)
    assert status == 0
    assert re.findall(r"fold (\d) of 2: accuracy", err) == ["1", "2"]  # in a log, where there is no bar
    runs = sorted(path.name for path in (tmp_path / "cv").iterdir() if path.is_dir())
    assert runs == ["seed-0-fold-1", "seed-0-fold-2"]
    status, again, _ = command(*words)
    assert (status, again) == (0, out)


def test_check_ranks_labels_and_the_cleaning_page_saves_what_train_applies(command, own, pets, tmp_path):
    (pets / "cat" / "7.png").rename(pets / "dog" / "wrong.png")
    status, out, _ = command("check", pets, "--labels", "--json", "--clean", "clean.html", "--offline")
    issues = {issue["kind"]: issue for issue in json.loads(out)}
    suspicious = issues["label-error"]["examples"][0][0]
    assert (suspicious["path"], suspicious["suggestion"]) == ("dog/wrong.png", "cat")
    assert "dog/wrong.png" in (tmp_path / "clean.html").read_text().replace("<wbr>", "")
    (tmp_path / "c.csv").write_text("path,label,action,new_label\ndog/wrong.png,dog,relabel,cat\n")
    status, out, _ = command("check", pets, "--labels", "--json", "--corrections", "c.csv", "--offline")
    issues = {issue["kind"]: issue for issue in json.loads(out)}
    assert "1 image relabeled" in issues["corrections"]["summary"]
    assert "label-error" not in issues
    assert status == 0
    (tmp_path / "c.csv").write_text("path,label,action,new_label\ndog/wrong.png,dog,keep,\n")
    _, out, _ = command("check", pets, "--labels", "--json", "--corrections", "c.csv", "--offline")
    listed = [issue["examples"] for issue in json.loads(out) if issue["kind"] == "label-error"]
    assert not [place for examples in listed for places in examples for place in places[:1] if "wrong" in place["path"]]


def test_check_names_the_suspect_alone_and_not_the_images_to_compare_it_with(command, own, pets):
    (pets / "cat" / "7.png").rename(pets / "dog" / "wrong.png")
    out = command("check", pets, "--labels", "--offline")[1]
    (line,) = (line for line in out.splitlines() if "wrong.png" in line)
    assert line.startswith("        dog/wrong.png, labeled dog, suspect: predicted cat, ")
    assert line.count(".png") == 1


def test_options_of_labels_need_them(refused, pets):
    refused(["check", pets, "--seeds", 2], "--labels", "--seeds")
    refused(["check", pets, "--clean", "clean.txt"], "clean.txt")
    refused(["check", pets, "--corrections", "none.csv"], "none.csv")


def test_labels_of_a_source_that_cannot_be_used_are_not_checked(command, own, pets):
    for k in range(1, 8):
        (pets / "cat" / f"{k}.png").unlink()
    status, out, _ = command("check", pets, "--labels", "--json", "--offline")
    assert status == 0
    (issue,) = [issue for issue in json.loads(out) if issue["kind"] == "label-error"]
    assert (issue["severity"], issue["examples"], "of cat" in issue["summary"]) == ("note", [], True)


def test_train_applies_corrections_and_what_reads_the_run_needs_the_same_ones(command, refused, own, pets, tmp_path):
    (pets / "cat" / "7.png").rename(pets / "dog" / "wrong.png")
    rows = "path,label,action,new_label\ndog/wrong.png,dog,relabel,cat\ndog/0.png,dog,leave out,\n"
    (tmp_path / "c.csv").write_text(rows)
    status, _, err = command("train", pets, "--corrections", "c.csv", "--offline", "--out", "run")
    assert status == 0
    assert "1 image relabeled (dog/wrong.png), 1 left out (dog/0.png)" in err
    with (tmp_path / "run" / "images.csv").open(newline="") as file:
        classes = {row["path"]: row["class"] for row in csv.DictReader(file)}
    assert (classes["dog/wrong.png"], len(classes)) == ("cat", 15)
    (tmp_path / "c.csv").write_text(rows.replace("leave out", "keep"))
    refused(["evaluate", "run"], "run", "images", begun=True)
    refused(["train", "--resume", "run"], "run", "corrections", begun=True)
