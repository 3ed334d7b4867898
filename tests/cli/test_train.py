from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from resnet50 import recipes
from resnet50.cli.train import choose
from resnet50.recipes import folder


def test_training_leaves_a_run_and_says_where(command, tmp_path):
    status, out, err = command("train", "tiny", "--out", "run", "--epochs", 1, "--seed", 5, "--learning-rate", "0.01")
    assert (status, err) == (0, "")
    assert out.startswith("Training in run. rendered signs, pictures: 24 for training, 6 for test. Seed 5.\n")
    assert "rendered signs, 6 pictures: accuracy" in out
    for name in ("model.keras", "report.json", "history.csv", "curves.png", "report.html"):
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
    assert "takes the place of the share." in " ".join(out.split())


def test_a_run_goes_into_a_folder_of_its_own(command, tmp_path):
    status, _, _ = command("train", "tiny", "--epochs", 1)
    assert status == 0
    (run,) = (tmp_path / "runs").iterdir()
    assert re.fullmatch(r"tiny-\d{8}-\d{6}", run.name)


def test_a_finished_run_can_be_resumed(command, trained):
    status, out, err = command("train", "--resume", trained)
    assert (status, err) == (0, "")
    assert out.startswith(f"Resuming {trained}. rendered signs, pictures: 24 for training")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            [],
            "resnet50 train: needed a recipe, one of signs, leukemia, rocks, cats-dogs, cifar10, caltech101, "
            "folder, rendered-signs, tiny, or --resume RUN, got neither.",
        ),
        (
            ["nosuch"],
            "resnet50 train: needed a recipe's name, one of signs, leukemia, rocks, cats-dogs, cifar10, caltech101, "
            "folder, rendered-signs, tiny, got 'nosuch'.",
        ),
        (["tiny", "--epochs", "0"], "resnet50 train: epochs must be at least 1, got 0."),
        (["tiny", "--learning-rate", "-1"], "resnet50 train: learning_rate must be above 0, got -1.0."),
        (
            ["tiny", "--precision", "half"],
            "resnet50 train: precision must be one of auto, float32, bfloat16, got",
        ),
        (["tiny", "--head", "none"], "resnet50 train: head must be one of linear, "),
        (["tiny", "--stem", "none"], "resnet50 train: stem must be one of imagenet, small, got 'none'."),
        (["signs"], "resnet50 train: CACHE/signs: needed train_signs.h5 and test_signs.h5"),
        (
            ["signs", "--data", "nowhere"],
            "resnet50 train: FOLDER/nowhere: needed train_signs.h5 and test_signs.h5, found",
        ),
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
    assert err.startswith(message.replace("CACHE", str(tmp_path / "cache")).replace("FOLDER", str(tmp_path)))
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
    status, out, err = command("train", "tiny", "--out", trained / "model.keras")
    assert (status, out) == (2, "")
    assert err == (
        f"resnet50 train: {trained / 'model.keras'}: needed a folder for the run, found a file; choose another name.\n"
    )
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
        (tmp_path / "plants" / name).mkdir(parents=True)
        for number in range(15):
            pixels = rng.integers(low, low + 128, (40, 44, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "plants" / name / f"{number:02}.png")
    (tmp_path / "plants" / "dark" / "07.png").write_bytes(b"no picture")
    return tmp_path / "plants"


def test_a_folder_of_pictures_is_trained_on_and_resumed_from_anywhere(command, own, plants, monkeypatch, tmp_path):
    status, out, err = command("train", "own", "plants", "--out", "run", "--test", "0.4", "--most-unreadable", "0.2")
    assert (status, err) == (0, "")
    assert (
        "From scratch, since the weights imagenet are not here; 'resnet50 weights fetch imagenet' fetches them." in out
    )
    assert "plants, pictures: 17 for training, 12 for test (25% of training held out). Seed 0.\n" in out
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
    status, _, err = command("train", "--resume", tmp_path / "run")
    assert status == 2
    assert err.endswith("The run had its pictures there; name by --data where they are now.\n")
    assert command("train", "--resume", tmp_path / "run", "--data", tmp_path / "moved")[0] == 0


def test_a_validation_part_of_ones_own_is_scored_after_every_epoch(command, own, plants, tmp_path):
    (plants / "dark" / "07.png").unlink()
    for part, numbers in (("train", range(8)), ("val", range(8, 11)), ("test", range(11, 15))):
        for name in ("bright", "dark"):
            (plants / part / name).mkdir(parents=True)
            for number in numbers:
                if (path := plants / name / f"{number:02}.png").exists():
                    path.rename(plants / part / name / path.name)
    for name in ("bright", "dark"):
        (plants / name).rmdir()
    status, out, _ = command("train", "own", "--data", "plants", "--out", "run", "--validation", "0")
    assert status == 0
    assert "plants, pictures: 15 for training, 6 for validation, 8 for test. Seed 0.\n" in out
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
    message = (
        "own classic: needed the weights torchvision/imagenet1k_v1, which are not here; run 'resnet50 weights fetch "
        "torchvision/imagenet1k_v1', or name a file or none by --weights."
    )
    with pytest.raises(FileNotFoundError, match=message):
        choose(own, "classic", None)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "resnet50_weights_tf_dim_ordering_tf_kernels.h5").touch()
    assert choose(own, None, None) is own.VARIANTS["fine-tuned"]
    assert choose(own, None, "none") is own.VARIANTS["scratch"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["own"], "needed a place to read pictures from, got none; name a folder, a CSV or an h5 file."),
        (["own", "plants", "--data", "plants"], "needed one place of pictures, got plants and --data plants."),
        (
            ["own", "plants", "--variant", "new"],
            "needed a variant of own, one of scratch, fine-tuned, classic, got 'new'.",
        ),
        (["own", "plants", "--pattern", "x"], "needed a pattern with a group named class, such as "),
        (
            ["own", "plants", "--most-unreadable", "0.01"],
            "FOLDER/plants: at least 1 of 30 files cannot be read, ",
        ),
        (
            ["rendered-signs", "--test", "0.3"],
            "the recipe rendered-signs knows how its pictures are read: leave out --test.",
        ),
        (["--resume", "run", "--test", "0.3"], "a resumed run keeps its own recipe and folder: leave out --test."),
    ],
)
def test_a_source_that_will_not_do_gets_one_line(command, own, plants, words, message, tmp_path):
    status, _, err = command("train", *words, "--weights", "none")
    if words[0] == "--resume":
        message = message.replace("--test", "--test, --weights")
    assert status == 2
    assert err.startswith("resnet50 train: " + message.replace("FOLDER", str(tmp_path)))
    assert err.count("\n") == 1
