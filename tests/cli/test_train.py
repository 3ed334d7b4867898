from __future__ import annotations

import argparse
import json
import re
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from factories import raises, write_image
from resnet50 import recipes
from resnet50.cli.recipe_options import add_recipe_options, read_recipe
from resnet50.data.augmentation import Augmentation
from resnet50.data.options import ReadOptions
from resnet50.datasets.source import DataSource
from resnet50.training.phases import Phase
from resnet50.training.recipe import Recipe
from resnet50.training.run import RunDirectory


@pytest.mark.slow
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
    (phase,) = recipe["phases"]
    assert (phase["epochs"], recipe["seed"], phase["learning_rate"]) == (1, 5, 0.01)


@pytest.mark.slow
def test_the_head_may_be_trained_first_on_weights_from_a_file(command, numbers, trained, tmp_path):
    (tmp_path / "w.keras").write_bytes((trained / "model.keras").read_bytes())
    words = ("--weights", "w.keras", "--head-epochs", 1, "--freeze-batch-norm", "--no-restore-best", "--epochs", 1)
    status, out, err = command("train", "tiny", "--out", "run", *words)
    assert (status, err) == (0, "")
    (printed_line,) = (line for line in out.splitlines() if str(tmp_path / "w.keras") in line)
    loaded = json.loads((tmp_path / "run" / "transfer.json").read_text())["loaded"]
    assert numbers(printed_line)[0] == str(len(loaded))
    assert "run/transfer.json\n" in out
    recipe = json.loads((tmp_path / "run" / "recipe.json").read_text())
    assert recipe["weights"] == str(tmp_path / "w.keras")
    assert [(phase["epochs"], phase["trainable"]) for phase in recipe["phases"]] == [(1, "head"), (1, "all")]
    assert (recipe["phases"][1]["freeze_batch_norm"], recipe["restore_best"]) == (True, False)
    rows = (tmp_path / "run" / "history.csv").read_text().splitlines()
    assert [row.split(",")[:2] for row in rows] == [["epoch", "phase"], ["1", "1"], ["2", "2"]]


@pytest.mark.slow
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


def test_only_jax_trains_in_several_processes(refused):
    words = ("train", "tiny", "--out", "run", "--hosts")
    refused((*words, "10.0.0.1:1234,2,0"), "10.0.0.1:1234,2,0", "KERAS_BACKEND=jax", "--hosts none")
    assert not Path("run").exists()


def test_other_hosts_are_refused_before_images_are_read(refused, monkeypatch):
    monkeypatch.setattr("resnet50.cli.source.load", None)
    refused(("train", "tiny", "--out", "run", "--hosts", "a,2"), "ADDRESS,COUNT,INDEX", "a,2")


@pytest.fixture
def numbers_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    add_recipe_options(parser)
    return parser


def test_every_number_of_a_recipe_is_an_option_with_its_help(numbers_parser):
    options = {action.dest: action for action in numbers_parser._actions}
    for owner in (Phase, Recipe, Augmentation):
        for field in fields(owner):
            if "help" in field.metadata:
                text = options[field.name].help % {}
                assert text.startswith(field.metadata["help"]), field.name
                assert re.search(r"Default: .*\.$", text), field.name
    assert {"epochs", "learning_rate", "weights", "seed", "swa_epochs"} < set(options)
    assert not {"name", "phases", "stages", "augmentation"} & set(options)


def test_common_options_come_before_the_others(command):
    status, out, _ = command("train", "--help")
    assert status == 0
    titles = ("common options", "random changes to training images", "expert options")
    common, changes, expert = (out.index(f"\n{title}:\n") for title in titles)
    assert changes < out.index("  --flip, --no-flip") < out.index("Default: yes.", changes) < expert
    for name in ("epochs INT", "learning-rate FLOAT", "weights NAME", "variant NAME", "thorough"):
        assert common < out.index(f"  --{name}") < expert
    for name in ("layer-lr-decay FLOAT", "freeze-batch-norm, --no-freeze-batch-norm", "head-epochs INT"):
        assert expert < out.index(f"  --{name}")
    assert out.index("\nexamples:\n") > expert


def test_every_change_of_training_images_can_be_set_and_switched_off(numbers_parser):
    def read(*words):
        return read_recipe(recipes.folder, numbers_parser.parse_args(["--variant", "scratch", *words])).augmentation

    default = read()
    assert (default.rotation, default.flip) == (15, None)
    words = "--shift 0 --rotation 5 --zoom 0.5 --shear 2 --brightness 0.3 --contrast 0.4 --no-flip"
    assert read(*words.split()) == Augmentation(0, 5, 0.5, 2, 0.3, 0.4, False)
    assert read("--flip") == replace(default, flip=True)


def test_numbers_change_the_last_phase(numbers_parser):
    def read(*words):
        return read_recipe(
            recipes.rocks, numbers_parser.parse_args(["--variant", "classic", "--weights", "none", *words])
        )

    recipe = recipes.rocks.VARIANTS["classic"].change(weights=None)
    assert read() == recipe
    assert read("--epochs", "30", "--learning-rate", "0.5", "--batch-size", "3") == recipe.change(
        epochs=30, learning_rate=0.5, batch_size=3
    )
    assert read("--head-epochs", "0").phases == (recipe.last,)
    assert read("--head-epochs", "2").phases == (Phase(epochs=2, trainable="head"), recipe.last)


def test_another_depth_starts_from_its_own_weights_or_from_named_ones_of_it(numbers_parser, tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET50_CACHE", str(tmp_path))

    def read(*words):
        return read_recipe(recipes.folder, numbers_parser.parse_args(["--depth", "18", *words]))

    assert (read().depth, read().weights) == (18, None)  # nothing is cached
    (tmp_path / "weights" / "timm").mkdir(parents=True)
    (tmp_path / "weights" / "timm" / "resnet18.tv_in1k.safetensors").touch()
    assert (read().depth, read().weights) == (18, "timm/resnet18.tv_in1k")
    assert read("--weights", "timm/resnet18.a1_in1k").weights == "timm/resnet18.a1_in1k"
    form = read("--weights", "none", "--form", "plain")
    assert (form.weights, form.form, form.stochastic_depth) == (None, "plain", 0)
    with raises(ValueError, "'timm/a1_in1k'", "ResNet-18", "ResNet-50"):
        read("--weights", "timm/a1_in1k")


def test_other_epochs_bring_warm_up_and_averaging_in_proportion(numbers_parser):
    recipe = read_recipe(recipes.rocks, numbers_parser.parse_args(["--variant", "scratch", "--epochs", "30"]))
    assert (recipe.last.epochs, recipe.last.warmup_epochs, recipe.swa_epochs) == (30, 2.5, 5)


def test_thorough_leaves_no_phase_out(numbers_parser):
    def read(task, *words):
        return read_recipe(task, numbers_parser.parse_args(["--weights", "imagenet", *words]))

    tuned = recipes.folder.FINE_TUNED.change(weights="imagenet")
    assert [phase.min_error for phase in tuned.phases] == [0, 0.05, 0.03]
    recipe = read(recipes.folder, "--thorough")
    assert [phase.min_error for phase in recipe.phases] == [0, 0, 0]
    assert recipe.phases[1].views == tuned.phases[1].views
    scratch = read_recipe(recipes.folder, numbers_parser.parse_args(["--variant", "scratch", "--thorough"]))
    assert scratch == recipes.folder.RECIPE  # a single phase is never left out


def test_an_only_phase_is_not_left_out(numbers_parser):
    words = ["--weights", "imagenet", "--head-epochs"]
    recipe = read_recipe(recipes.folder, numbers_parser.parse_args([*words, "0"]))
    assert [(phase.trainable, phase.min_error) for phase in recipe.phases] == [("all", 0)]
    recipe = read_recipe(recipes.folder, numbers_parser.parse_args([*words, "3", "--head", "mlp"]))
    assert [(phase.trainable, phase.min_error) for phase in recipe.phases] == [("head", 0), ("all", 0.03)]


def test_the_size_in_training_goes_with_the_size_of_the_images(numbers_parser):
    def read(*words):
        given = numbers_parser.parse_args(["--weights", "imagenet", "--variant", "all-layers", *words])
        recipe = read_recipe(recipes.folder, given)
        return recipe.image_size, recipe.train_image_size

    assert read() == (224, 160)
    assert read("--image-size", "448") == (448, 320)
    assert read("--image-size", "32") == (32, 32)
    assert read("--image-size", "64", "--train-image-size", "48") == (64, 48)
    for words in (["--head-epochs", "2"], ["--trainable", "conv5"], ["--head", "flatten"]):
        assert read(*words) == (224, None)  # the same features in every phase


def test_views_and_the_smallest_error_are_those_of_the_last_phase(numbers_parser):
    words = ["--weights", "imagenet", "--views", "4", "--min-error", "0.5"]
    recipe = read_recipe(recipes.folder, numbers_parser.parse_args(words))
    assert [phase.views for phase in recipe.phases] == [1, 8, 4]
    assert [phase.min_error for phase in recipe.phases] == [0, 0.05, 0.5]
    assert recipe.phases[:2] == recipes.folder.FINE_TUNED.phases[:2]


@pytest.mark.slow
def test_a_run_goes_into_a_folder_of_its_own(command, tmp_path):
    status, _, _ = command("train", "tiny", "--epochs", 1)
    assert status == 0
    (run,) = (tmp_path / "runs").iterdir()
    assert re.fullmatch(r"tiny-\d{8}-\d{6}", run.name)


@pytest.mark.slow
def test_a_finished_run_can_be_resumed(command, numbers, trained):
    status, out, err = command("train", "--resume", trained)
    assert (status, err) == (0, "")
    first = out.splitlines()[0]
    assert str(trained) in first
    assert "rendered signs" in first
    assert numbers(first)[:4] == ["2", "2", "24", "6"]  # after epoch 2 of 2


@pytest.mark.slow
def test_a_finished_run_is_trained_on(command, refused, numbers, tmp_path):
    assert command("train", "tiny", "--out", "run", "--epochs", 1)[0] == 0
    refused(("train", "--resume", "run", "--epochs", 1), "run", "epochs")
    status, out, err = command("train", "--resume", "run", "--epochs", 3)
    assert (status, err) == (0, "")
    assert numbers(out.splitlines()[0])[:2] == ["1", "3"]
    rows = (tmp_path / "run" / "history.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows[1:]] == ["1", "2", "3"]
    assert command("predict", tmp_path / "run" / "curves.png", "--model", "run")[0] == 0


@pytest.mark.slow
def test_a_run_without_a_state_says_that_it_starts_over(command, trained, tmp_path):
    (tmp_path / "run").mkdir()
    for name in ("recipe.json", "environment.json"):
        (tmp_path / "run" / name).write_bytes((trained / name).read_bytes())
    status, out, _ = command("train", "--resume", "run")
    assert status == 0
    assert "over" in out.splitlines()[0]
    assert "no checkpoint" in out.splitlines()[0]


@pytest.mark.parametrize(
    ("words", "values"),
    [
        ([], [*recipes.RECIPES, "--resume"]),
        (["nosuch"], ["'nosuch'", "'resnet50 recipes'"]),
        (["sings"], ["'sings'", "did you mean signs?"]),
        (["tiny", "--epochs", "0"], ["epochs", 1, 0]),
        (["tiny", "--learning-rate", "-1"], ["learning_rate", 0, -1.0]),
        (["tiny", "--precision", "half"], ["precision", "auto", "float32", "bfloat16", "'half'"]),
        (["tiny", "--head", "none"], ["head", "linear", "'none'"]),
        (["tiny", "--stem", "none"], ["stem", "imagenet", "cifar", "'none'"]),
        (["signs"], ["FOLDER/cache/signs", "train_signs.h5", "test_signs.h5"]),
        (["signs", "--data", "nowhere"], ["FOLDER/nowhere", "train_signs.h5", "test_signs.h5"]),
        (["--resume", "nowhere"], ["nowhere"]),
        (["tiny", "--trainable", "conv5"], ["trainable", "head", "conv3", "conv2", "all", "'conv5'"]),
        (["tiny", "--head-epochs", "-1"], ["epochs", 1, -1]),
        (["tiny", "--schedule", "plateau"], ["lr_factor", 0, 1]),
        (["tiny", "--weights", "nosuch"], ["nosuch", "'resnet50 weights list'"]),
        (["tiny", "--weights", "timm/a1_in1"], ["timm/a1_in1", "did you mean timm/a1_in1k?"]),
        (["tiny", "--min-error", "0.1"], ["min_error", "first phase", 0.1]),
        (["tiny", "--min-error", "2"], ["min_error", 2]),
        (["tiny", "--views", "-1"], ["views", 0, -1]),
        (["tiny", "--thorough", "--min-error", "0.1"], ["--thorough", "--min-error"]),
        (["--resume", "x", "--thorough"], ["--thorough"]),
        (["cats-dogs", "--head", "mlp", "--yes"], ["head", "LinearProbe", "--head-epochs", "'mlp'"]),
        (
            ["tiny", "--resume", "x", "--out", "y", "--batch-size", "3", "--head-epochs", "0"],
            ["TASK_OR_PATH", "--out", "--head-epochs", "--batch-size"],
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
    refused(("train", "tiny", "--out", trained, "--hosts", "10.0.0.1:1234,2,1"), trained)
    refused(("train", "tiny", "--out", trained / "model.keras"), trained / "model.keras")
    assert (trained / "model.keras").read_bytes() == before


@pytest.fixture
def own(own_task):
    return own_task(
        fine_tuned={"weights": "imagenet", "learning_rate": 1e-4},
        classic={"weights": "torchvision/imagenet1k_v1", "label_smoothing": 0.0},
    )


@pytest.fixture
def plants(tmp_path):
    """Thirty images of two classes of noise, bright and dark, one of them broken."""
    rng = np.random.default_rng(0)
    for name, low in (("bright", 128), ("dark", 0)):
        for number in range(15):
            pixels = rng.integers(low, low + 128, (40, 44, 3), dtype=np.uint8)
            write_image(tmp_path / "plants" / name / f"{number:02}.png", pixels)
    (tmp_path / "plants" / "dark" / "07.png").write_bytes(b"no image")
    return tmp_path / "plants"


@pytest.mark.slow
def test_a_folder_of_images_is_trained_on_and_resumed_from_anywhere(
    command, refused, numbers, own, plants, monkeypatch, tmp_path
):
    status, out, err = command(
        "train", "own", "plants", "--out", "run", "--offline", "--test-split", "0.4", "--max-unreadable", "0.2"
    )
    assert (status, err) == (0, "")
    first, second, *_ = out.splitlines()
    assert "imagenet" in first
    assert "plants" in second
    assert numbers(second) == ["17", "12", "25%", "0"]
    rows = (tmp_path / "run" / "unreadable.csv").read_text().splitlines()
    assert rows[0] == "path,reason"
    assert rows[1].startswith("dark/07.png,")
    assert len(rows) == 2
    record = RunDirectory(tmp_path / "run").read()
    assert record.source == DataSource("own", str(plants), ReadOptions(test_split=0.4, max_unreadable=0.2))
    assert set(record.fingerprints) == {"train", "test"}
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert command("train", "--resume", tmp_path / "run")[0] == 0
    plants.rename(tmp_path / "moved")
    refused(("train", "--resume", tmp_path / "run"), plants, "--data")
    line = refused(("train", "--resume", tmp_path / "run", "--data", tmp_path / "lost"), tmp_path / "lost")
    assert "--data" not in line  # it was the place that the command named, not that of the run
    assert command("train", "--resume", tmp_path / "run", "--data", tmp_path / "moved")[0] == 0


@pytest.mark.slow
def test_a_validation_split_of_the_source_is_scored_after_every_epoch(command, numbers, own, plants, tmp_path):
    (plants / "dark" / "07.png").unlink()
    for split, places in (("train", range(8)), ("val", range(8, 11)), ("test", range(11, 15))):
        for name in ("bright", "dark"):
            (plants / split / name).mkdir(parents=True)
            for number in places:
                if (path := plants / name / f"{number:02}.png").exists():
                    path.rename(plants / split / name / path.name)
    for name in ("bright", "dark"):
        (plants / name).rmdir()
    status, out, _ = command("train", "own", "--data", "plants", "--out", "run", "--offline", "--validation-split", "0")
    assert status == 0
    (printed_line,) = (line for line in out.splitlines() if numbers(line) == ["15", "6", "8", "0"])
    assert "plants" in printed_line
    assert "validation" in printed_line
    assert (tmp_path / "run" / "history.csv").read_text().startswith("epoch,accuracy,loss,val_accuracy,val_loss")
    assert set(RunDirectory(tmp_path / "run").read().fingerprints) == {"train", "validation", "test"}


@pytest.mark.slow
def test_what_is_left_out_is_said_once_and_stored(command, own, plants, tmp_path):
    (plants / "dark" / "a.dcm").touch()
    (plants / "dim").mkdir()
    status, out, err = command("train", "own", "plants", "--out", plants / "run", "--weights", "none")
    assert status == 0
    assert (out + err).count("1 .dcm") == 1
    assert (out + err).count("dim") == 1
    rows = (plants / "run" / "left_out.csv").read_text().splitlines()
    assert rows == ["reason,place,suffix,count", "no-images,dim,,1", "not-image,dark,.dcm,1"]
    (issue,) = (
        each
        for each in json.loads((plants / "run" / "report.json").read_text())["issues"]
        if each["kind"] == "left-out"
    )
    assert ".dcm" in issue["summary"]
    status, out, _ = command("data", "show", "own", "plants")  # the run is no class of its own
    assert status == 0
    assert "run" not in out.replace("train", "")


@pytest.mark.slow
def test_a_folder_is_a_task_of_its_own(command, plants, tiny_task, monkeypatch, tmp_path):
    (plants / "dark" / "07.png").unlink()
    recipe = tiny_task.RECIPE.change(name="folder")
    task = SimpleNamespace(__doc__="Folder.", RECIPE=recipe, VARIANTS={"scratch": recipe})
    monkeypatch.setitem(recipes.RECIPES, "folder", task)
    status, out, err = command("train", "plants", "--epochs", 1, "--out", "run")
    assert (status, err) == (0, "")
    assert "plants" in out.splitlines()[0]
    assert RunDirectory(tmp_path / "run").read().source == DataSource("folder", str(plants))


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["own"], ["CSV", "h5", "--data"]),
        (["own", "plants", "--data", "plants"], ["plants", "--data"]),
        (["own", "plants", "--variant", "new"], ["own", "scratch", "fine-tuned", "classic", "'new'"]),
        (["own", "plants", "--pattern", "x"], ["pattern", "class", "'x'"]),
        (["own", "plants", "--max-unreadable", "0.01"], ["FOLDER/plants", 1, 30, 0.01]),
        (["rendered-signs", "--test-split", "0.3"], ["rendered-signs", "test_split"]),
        (["--resume", "run", "--test-split", "0.3"], ["--test-split", "--weights"]),
    ],
)
def test_a_source_that_will_not_do_gets_one_line(refused, own, plants, words, values, tmp_path):
    values = (str(value).replace("FOLDER", str(tmp_path)) for value in values)
    refused(["train", *words, "--weights", "none"], *values)
