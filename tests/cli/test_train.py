from __future__ import annotations

import argparse
import inspect
import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from factories import raises, write_image
from resnet50 import recipes
from resnet50.cli.train import OVERRIDES, add_arguments, choose
from resnet50.recipes import folder
from resnet50.training.recipe import Phase, Recipe


def test_training_leaves_a_run_and_says_where(command, numbers, tmp_path):
    status, out, err = command("train", "tiny", "--out", "run", "--epochs", 1, "--seed", 5, "--learning-rate", "0.01")
    assert (status, err) == (0, "")
    first, *lines = out.splitlines()
    assert re.search(r"\brun\b", first)
    assert "rendered signs" in first
    assert numbers(first) == ["24", "6", "5"]
    (scores,) = (line for line in lines if line.startswith("rendered signs"))
    assert numbers(scores)[0] == "6"
    for name in ("model.keras", "report.json", "history.csv", "curves.png", "report.html"):
        assert f"run/{name}\n" in out
        assert (tmp_path / "run" / name).is_file()
    recipe = json.loads((tmp_path / "run" / "recipe.json").read_text())
    assert (recipe["epochs"], recipe["seed"], recipe["learning_rate"]) == (1, 5, 0.01)


def test_the_head_may_be_trained_first_on_weights_from_a_file(command, numbers, trained, tmp_path):
    (tmp_path / "w.keras").write_bytes((trained / "model.keras").read_bytes())
    words = ("--weights", "w.keras", "--head-epochs", 1, "--freeze-statistics", "--no-balance-classes", "--epochs", 1)
    status, out, err = command("train", "tiny", "--out", "run", *words)
    assert (status, err) == (0, "")
    (told,) = (line for line in out.splitlines() if str(tmp_path / "w.keras") in line)
    loaded = json.loads((tmp_path / "run" / "transfer.json").read_text())["loaded"]
    assert numbers(told)[0] == str(len(loaded))
    assert "run/transfer.json\n" in out
    recipe = json.loads((tmp_path / "run" / "recipe.json").read_text())
    assert recipe["weights"] == str(tmp_path / "w.keras")
    assert [(phase["epochs"], phase["trains"]) for phase in recipe["before"]] == [(1, "head")]
    assert (recipe["epochs"], recipe["freeze_statistics"], recipe["balance_classes"]) == (1, True, False)
    rows = (tmp_path / "run" / "history.csv").read_text().splitlines()
    assert [row.split(",")[:2] for row in rows] == [["epoch", "phase"], ["1", "1"], ["2", "2"]]


def test_tensorboard_is_written_into_the_run_and_goes_on_with_it(command, tmp_path):
    pytest.importorskip("tensorboard")
    status, _, err = command("train", "tiny", "--out", "run", "--tensorboard")
    assert (status, err) == (0, "")
    logs = tmp_path / "run" / "tensorboard" / "train"
    assert list(logs.glob("events.*"))
    assert command("train", "--resume", "run")[0] == 0


def test_tensorboard_that_is_not_installed_leaves_no_folder(refused, monkeypatch):
    monkeypatch.setattr("resnet50.training.callbacks.find_spec", lambda name: None)
    words = ("train", "tiny", "--out", "run", "--tensorboard")
    refused(words, "tensorflow", "tensorboard", "resnet50[tensorboard]", begun=True)
    assert not Path("run").exists()


def test_every_number_is_explained(command):
    status, out, _ = command("train", "--help")
    assert status == 0
    for words in ("--layer-decay FLOAT", "--freeze-statistics, --no-freeze-statistics", "--head-epochs INT"):
        assert words in out
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    helps = {action.dest: action.help.replace("%%", "%") for action in parser._actions}
    docs = " ".join(f"{inspect.getdoc(Phase)} {inspect.getdoc(Recipe)}".replace("`", "").split())
    for name in OVERRIDES:
        assert f" {name}: {helps[name]}" in docs
        assert helps[name].endswith(".")  # to the end of the last line


def test_a_run_goes_into_a_folder_of_its_own(command, tmp_path):
    status, _, _ = command("train", "tiny", "--epochs", 1)
    assert status == 0
    (run,) = (tmp_path / "runs").iterdir()
    assert re.fullmatch(r"tiny-\d{8}-\d{6}", run.name)


def test_a_finished_run_can_be_resumed(command, numbers, trained):
    status, out, err = command("train", "--resume", trained)
    assert (status, err) == (0, "")
    first = out.splitlines()[0]
    assert str(trained) in first
    assert "rendered signs" in first
    assert numbers(first)[:2] == ["24", "6"]


@pytest.mark.parametrize(
    ("words", "values"),
    [
        ([], [*recipes.RECIPES, "--resume"]),
        (["nosuch"], [*recipes.RECIPES, "'nosuch'"]),
        (["tiny", "--epochs", "0"], ["epochs", 1, 0]),
        (["tiny", "--learning-rate", "-1"], ["learning_rate", 0, -1.0]),
        (["tiny", "--precision", "half"], ["precision", "auto", "float32", "bfloat16", "'half'"]),
        (["tiny", "--head", "none"], ["head", "linear", "'none'"]),
        (["tiny", "--stem", "none"], ["stem", "imagenet", "small", "'none'"]),
        (["signs"], ["FOLDER/cache/signs", "train_signs.h5", "test_signs.h5"]),
        (["signs", "--data", "nowhere"], ["FOLDER/nowhere", "train_signs.h5", "test_signs.h5"]),
        (["--resume", "nowhere"], ["nowhere"]),
        (["tiny", "--trains", "conv5"], ["trains", "head", "conv3", "conv2", "all", "'conv5'"]),
        (["tiny", "--head-epochs", "-1"], ["epochs", 1, -1]),
        (["tiny", "--schedule", "plateau"], ["rate_factor", 0, 1]),
        (["tiny", "--weights", "nosuch"], ["nosuch"]),
        (
            ["tiny", "--resume", "x", "--out", "y", "--batch-size", "3", "--head-epochs", "0"],
            ["RECIPE", "--out", "--head-epochs", "--batch-size"],
        ),
    ],
)
def test_what_cannot_be_done_gets_one_line_and_status_2(refused, words, values, tmp_path):
    values = (str(value).replace("FOLDER", str(tmp_path)) for value in values)
    refused(["train", *words], *values, begun=True)


@pytest.mark.parametrize("word", ["--head", "--stem"])
def test_a_refused_network_leaves_no_folder(command, word):
    command("train", "tiny", word, "none", "--out", "run")
    assert not Path("run").exists()


def test_a_folder_with_a_run_is_left_alone(refused, trained):
    before = (trained / "model.keras").read_bytes()
    refused(("train", "tiny", "--out", trained), trained)
    refused(("train", "tiny", "--out", trained / "model.keras"), trained / "model.keras")
    assert (trained / "model.keras").read_bytes() == before


@pytest.fixture
def own(tiny_task, monkeypatch):
    """A recipe of seconds that reads pictures of one's own, in three variants."""
    recipe = replace(tiny_task.RECIPE, name="own", validation=0.25)
    variants = {
        "scratch": recipe,
        "fine-tuned": replace(recipe, weights="imagenet", learning_rate=1e-4),
        "classic": replace(recipe, weights="torchvision/imagenet1k_v1", label_smoothing=0.0),
    }
    task = SimpleNamespace(__doc__="Own: pictures.", RECIPE=recipe, VARIANTS=variants, load=folder.load)
    monkeypatch.setitem(recipes.RECIPES, "own", task)
    return task


@pytest.fixture
def plants(tmp_path):
    """Thirty pictures of two classes of noise, bright and dark, one of them broken."""
    rng = np.random.default_rng(0)
    for name, low in (("bright", 128), ("dark", 0)):
        for number in range(15):
            pixels = rng.integers(low, low + 128, (40, 44, 3), dtype=np.uint8)
            write_image(tmp_path / "plants" / name / f"{number:02}.png", pixels)
    (tmp_path / "plants" / "dark" / "07.png").write_bytes(b"no picture")
    return tmp_path / "plants"


def test_a_folder_of_pictures_is_trained_on_and_resumed_from_anywhere(
    command, refused, numbers, own, plants, monkeypatch, tmp_path
):
    status, out, err = command("train", "own", "plants", "--out", "run", "--test", "0.4", "--most-unreadable", "0.2")
    assert (status, err) == (0, "")
    first, second, *_ = out.splitlines()
    assert "resnet50 weights fetch imagenet" in first
    assert "plants" in second
    assert numbers(second) == ["17", "12", "25%", "0"]
    rows = (tmp_path / "run" / "unreadable.csv").read_text().splitlines()
    assert rows[0] == "path,reason"
    assert rows[1].startswith("dark/07.png,")
    assert len(rows) == 2
    noted = json.loads((tmp_path / "run" / "environment.json").read_text())["data"]
    assert noted["task"] == "own"
    assert noted["path"] == str(plants)
    assert noted["how"] == {"test": 0.4, "most_unreadable": 0.2}
    assert set(noted["fingerprints"]) == {"training", "test"}
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert command("train", "--resume", tmp_path / "run")[0] == 0
    plants.rename(tmp_path / "moved")
    refused(("train", "--resume", tmp_path / "run"), plants, "--data")
    assert command("train", "--resume", tmp_path / "run", "--data", tmp_path / "moved")[0] == 0


def test_a_validation_part_of_ones_own_is_scored_after_every_epoch(command, numbers, own, plants, tmp_path):
    (plants / "dark" / "07.png").unlink()
    for part, places in (("train", range(8)), ("val", range(8, 11)), ("test", range(11, 15))):
        for name in ("bright", "dark"):
            (plants / part / name).mkdir(parents=True)
            for number in places:
                if (path := plants / name / f"{number:02}.png").exists():
                    path.rename(plants / part / name / path.name)
    for name in ("bright", "dark"):
        (plants / name).rmdir()
    status, out, _ = command("train", "own", "--data", "plants", "--out", "run", "--validation", "0")
    assert status == 0
    (told,) = (line for line in out.splitlines() if numbers(line) == ["15", "6", "8", "0"])
    assert "plants" in told
    assert "validation" in told
    assert (tmp_path / "run" / "history.csv").read_text().startswith("epoch,accuracy,loss,val_accuracy,val_loss")
    noted = json.loads((tmp_path / "run" / "environment.json").read_text())["data"]
    assert set(noted["fingerprints"]) == {"training", "validation", "test"}


def test_weights_at_hand_are_fine_tuned(own, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("RESNET50_CACHE", str(tmp_path))
    assert choose(own, None, None) is own.VARIANTS["scratch"]
    assert choose(own, None, "none") is own.VARIANTS["scratch"]
    assert choose(own, None, "a/file.h5") is own.VARIANTS["fine-tuned"]
    assert choose(own, "classic", "none") is own.VARIANTS["classic"]
    assert choose(own, "scratch", None) is own.VARIANTS["scratch"]
    command = "resnet50 weights fetch torchvision/imagenet1k_v1"
    with raises(FileNotFoundError, "own", "classic", command, "--weights"):
        choose(own, "classic", None)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "resnet50_weights_tf_dim_ordering_tf_kernels.h5").touch()
    assert choose(own, None, None) is own.VARIANTS["fine-tuned"]
    assert choose(own, None, "none") is own.VARIANTS["scratch"]


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["own"], ["CSV", "h5"]),
        (["own", "plants", "--data", "plants"], ["plants", "--data plants"]),
        (["own", "plants", "--variant", "new"], ["own", "scratch", "fine-tuned", "classic", "'new'"]),
        (["own", "plants", "--pattern", "x"], ["pattern", "class", "'x'"]),
        (["own", "plants", "--most-unreadable", "0.01"], ["FOLDER/plants", 1, 30, 0.01]),
        (["rendered-signs", "--test", "0.3"], ["rendered-signs", "--test"]),
        (["--resume", "run", "--test", "0.3"], ["--test", "--weights"]),
    ],
)
def test_a_source_that_will_not_do_gets_one_line(refused, own, plants, words, values, tmp_path):
    values = (str(value).replace("FOLDER", str(tmp_path)) for value in values)
    refused(["train", *words, "--weights", "none"], *values)
