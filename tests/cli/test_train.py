from __future__ import annotations

import json
import re
from pathlib import Path

import pytest


def test_training_leaves_a_run_and_says_where(command, tmp_path):
    status, out, err = command("train", "tiny", "--out", "run", "--epochs", 1, "--seed", 5, "--learning-rate", "0.01")
    assert (status, err) == (0, "")
    assert out.startswith("Training in run. rendered signs: 24 pictures to train with, 6 to test, seed 5\n")
    assert "rendered signs, 6 pictures: accuracy" in out
    for name in ("model.keras", "report.json", "history.csv", "curves.png", "confusion.png"):
        assert f"run/{name}\n" in out
        assert (tmp_path / "run" / name).is_file()
    recipe = json.loads((tmp_path / "run" / "recipe.json").read_text())
    assert (recipe["epochs"], recipe["seed"], recipe["learning_rate"]) == (1, 5, 0.01)


def test_a_run_goes_into_a_folder_of_its_own(command, tmp_path):
    status, _, _ = command("train", "tiny", "--epochs", 1)
    assert status == 0
    (run,) = (tmp_path / "runs").iterdir()
    assert re.fullmatch(r"tiny-\d{8}-\d{6}", run.name)


def test_a_finished_run_can_be_resumed(command, trained):
    status, out, err = command("train", "--resume", trained)
    assert (status, err) == (0, "")
    assert out.startswith(f"Resuming {trained}. rendered signs: 24 pictures")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "resnet50 train: needed a recipe, one of signs, rendered-signs, tiny, or --resume RUN, got neither."),
        (["nosuch"], "resnet50 train: needed a recipe's name, one of signs, rendered-signs, tiny, got 'nosuch'."),
        (["tiny", "--epochs", "0"], "resnet50 train: epochs must be at least 1, got 0."),
        (["tiny", "--learning-rate", "-1"], "resnet50 train: learning_rate must be above 0, got -1.0."),
        (
            ["tiny", "--precision", "half"],
            "resnet50 train: precision must be one of auto, float32, bfloat16, got",
        ),
        (["tiny", "--head", "none"], "resnet50 train: head must be one of linear, mlp, or a function, got 'none'."),
        (["tiny", "--stem", "none"], "resnet50 train: stem must be one of imagenet, small, got 'none'."),
        (["signs"], "resnet50 train: CACHE/signs: needed train_signs.h5 and test_signs.h5"),
        (["signs", "--data", "nowhere"], "resnet50 train: nowhere/train_signs.h5: needed an HDF5 file"),
        (["--resume", "nowhere"], "resnet50 train: nowhere: needed the folder of a run"),
        (
            ["tiny", "--resume", "x", "--out", "y", "--batch-size", "3"],
            "resnet50 train: a resumed run keeps its own recipe and folder: leave out RECIPE, --out, --batch-size.",
        ),
    ],
)
def test_what_cannot_be_done_gets_one_line_and_status_2(command, words, message, tmp_path):
    status, _, err = command("train", *words)
    assert status == 2
    assert err.startswith(message.replace("CACHE", str(tmp_path / "cache")))
    assert err.count("\n") == 1


@pytest.mark.parametrize("word", ["--head", "--stem"])
def test_a_refused_network_leaves_no_folder(command, word):
    command("train", "tiny", word, "none", "--out", "run")
    assert not Path("run").exists()


def test_a_folder_with_a_run_is_left_alone(command, trained):
    before = (trained / "model.keras").read_bytes()
    status, _, err = command("train", "tiny", "--out", trained)
    assert status == 2
    assert err == f"resnet50 train: {trained}: there is a run here already; resume it, or choose another folder.\n"
    assert (trained / "model.keras").read_bytes() == before
