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


def test_the_head_may_be_trained_first_on_weights_from_a_file(command, trained, tmp_path, monkeypatch):
    (tmp_path / "w.keras").write_bytes((trained / "model.keras").read_bytes())
    words = ("--weights", "w.keras", "--head-epochs", 1, "--freeze-statistics", "--no-balance-classes", "--epochs", 1)
    status, out, err = command("train", "tiny", "--out", "run", *words)
    assert (status, err) == (0, "")
    assert f"{tmp_path / 'w.keras'} (keras layout): " in out
    assert "layers loaded" in out
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


def test_tensorboard_that_is_not_installed_leaves_no_folder(command, monkeypatch):
    monkeypatch.setattr("resnet50.training.callbacks.find_spec", lambda name: None)
    status, _, err = command("train", "tiny", "--out", "run", "--tensorboard")
    assert status == 2
    assert err == (
        "resnet50 train: TensorBoard needs the packages tensorflow and tensorboard, found no tensorflow and no "
        "tensorboard; install resnet50[tensorboard].\n"
    )
    assert not Path("run").exists()


def test_every_number_is_explained(command):
    status, out, _ = command("train", "--help")
    assert status == 0
    for words in ("--layer-decay FLOAT", "--freeze-statistics, --no-freeze-statistics", "--head-epochs INT"):
        assert words in out
    assert "Name of pretrained weights or their file" in " ".join(out.split())


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
        (["tiny", "--head", "none"], "resnet50 train: head must be one of linear, "),
        (["tiny", "--stem", "none"], "resnet50 train: stem must be one of imagenet, small, got 'none'."),
        (["signs"], "resnet50 train: CACHE/signs: needed train_signs.h5 and test_signs.h5"),
        (["signs", "--data", "nowhere"], "resnet50 train: nowhere/train_signs.h5: needed an HDF5 file"),
        (["--resume", "nowhere"], "resnet50 train: nowhere: needed the folder of a run"),
        (["tiny", "--trains", "conv5"], "resnet50 train: trains must be one of head, conv3, conv2, all, got 'conv5'."),
        (["tiny", "--head-epochs", "-1"], "resnet50 train: epochs must be at least 1, got -1."),
        (["tiny", "--schedule", "plateau"], "resnet50 train: rate_factor must be above 0 and less than 1 with the"),
        (["tiny", "--weights", "nosuch"], "resnet50 train: nosuch: needed"),
        (
            ["tiny", "--resume", "x", "--out", "y", "--batch-size", "3", "--head-epochs", "0"],
            "resnet50 train: a resumed run keeps its own recipe and folder: leave out RECIPE, --out, --head-epochs, "
            "--batch-size.",
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
