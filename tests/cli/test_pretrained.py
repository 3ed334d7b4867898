"""The offer to fetch pretrained weights, and what each answer starts."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest

from factories import fill_random, write_image
from resnet50 import V1_5, save_weights
from resnet50._io.fetch import DownloadError
from resnet50.build import build_resnet50
from resnet50.cli import train as train_module
from resnet50.model import Stage
from resnet50.training.phases import LinearProbe, Phase
from resnet50.training.run import RunDirectory
from resnet50.weights import fetch as fetch_module

WEIGHTS = "timm/a1_in1k"
FILE = "cache/weights/timm/resnet50.a1_in1k.safetensors"


@pytest.fixture
def own(own_task):
    # the statistics of random weights are not those of the images
    phases = (LinearProbe(), Phase(epochs=2, learning_rate=1e-4, freeze_batch_norm=True, min_error=0.9))
    return own_task(
        fine_tuned={"weights": WEIGHTS, "phases": phases, "restore_best": True}, classic={"weights": "timm/a2_in1k"}
    )


@pytest.fixture
def plants(tmp_path):
    """Forty images of two classes of noise, bright and dark."""
    rng = np.random.default_rng(0)
    for name, low in (("bright", 128), ("dark", 0)):
        for number in range(20):
            pixels = rng.integers(low, low + 128, (32, 32, 3), dtype=np.uint8)
            write_image(tmp_path / "plants" / name / f"{number:02}.png", pixels)
    return tmp_path / "plants"


@pytest.fixture
def fetched(monkeypatch):
    """The files that are fetched; a tiny network's weights take the place of each."""
    names: list[str] = []

    def fetch(download, folder, *, progress):
        path = folder / download.name
        if not path.exists():
            names.append(download.name)
            stages = (Stage("conv2", 2, (4, 6, 16), 1), Stage("conv3", 1, (5, 7, 24), 2))
            folder.mkdir(parents=True, exist_ok=True)
            save_weights(fill_random(build_resnet50(5, conventions=V1_5, stages=stages)), path)
        return path

    monkeypatch.setattr(fetch_module, "fetch", fetch)
    return names


@pytest.fixture
def started(own, plants, fetched, monkeypatch):
    """The recipes that are trained, without the training."""
    trained = []
    monkeypatch.setattr(train_module, "_train_in", lambda *given, alone: trained.append(given[2]) or 0)
    return trained


@pytest.fixture
def terminal(monkeypatch):
    """Let the command run in a terminal in which these lines are typed."""

    def type_lines(text: str) -> None:
        stdin = io.StringIO(text)
        stdin.isatty = lambda: True
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)

    return type_lines


def start(command, *words):
    return command("train", "own", "plants", "--out", "run", *words)


def test_cached_weights_are_fine_tuned_without_a_word(command, started, fetched, tmp_path):
    (tmp_path / FILE).parent.mkdir(parents=True)
    (tmp_path / FILE).touch()
    assert start(command) == (0, "", "")
    assert [recipe.weights for recipe in started] == [WEIGHTS]
    assert fetched == []


def test_yes_fetches_them_without_a_question(command, started, fetched, tmp_path):
    assert start(command, "--yes") == (0, "", "")
    assert (tmp_path / FILE).is_file()
    assert [recipe.weights for recipe in started] == [WEIGHTS]


def test_offline_trains_from_scratch_and_says_what_that_costs(command, own, started, fetched):
    status, out, err = start(command, "--offline")
    assert (status, err) == (0, "")
    for words in (WEIGHTS, "scratch", "%"):
        assert words in out
    assert started == [own.RECIPE]
    assert fetched == []


def test_offline_takes_numbers_that_weights_exclude(command, started, fetched):
    assert start(command, "--offline", "--conventions", "v1.5")[0] == 0
    assert [(recipe.weights, recipe.conventions) for recipe in started] == [(None, "v1.5")]


def test_offline_takes_weights_that_are_cached(command, started, fetched, tmp_path):
    (tmp_path / FILE).parent.mkdir(parents=True)
    (tmp_path / FILE).touch()
    assert start(command, "--offline") == (0, "", "")
    assert [recipe.weights for recipe in started] == [WEIGHTS]


def test_without_a_terminal_nothing_is_fetched_unasked(refused, started, fetched, tmp_path):
    line = refused(("train", "own", "plants"), WEIGHTS, "Apache-2.0", "MB", "scratch")
    for words in ("--yes", "--offline", "--weights none", "--weights FILE", "%"):
        assert words in line
    assert (started, fetched) == ([], [])
    assert {path.name for path in tmp_path.iterdir()} == {"plants"}  # nothing was written


@pytest.mark.parametrize("answer", ["y\n", "YES\n", "\n", "perhaps\ny\n"])
def test_a_yes_in_a_terminal_fetches_them(command, started, terminal, fetched, answer):
    terminal(answer)
    status, out, err = start(command)
    assert (status, err) == (0, "")
    for words in (WEIGHTS, "Apache-2.0", "MB", "ImageNet", "[Y/n]"):
        assert words in out
    assert out.count("[Y/n]") == answer.count("\n")
    assert [recipe.weights for recipe in started] == [WEIGHTS]
    assert len(fetched) == 1


@pytest.mark.parametrize("answer", ["n\n", " No \n"])
def test_a_no_in_a_terminal_trains_from_scratch(command, own, started, terminal, fetched, answer):
    terminal(answer)
    assert start(command)[0] == 0
    assert started == [own.RECIPE]
    assert fetched == []


def test_the_end_of_the_input_is_no_answer(refused, started, terminal, fetched):
    terminal("")
    refused(("train", "own", "plants"), "y", "n", "--yes", begun=True)
    assert (started, fetched) == ([], [])


def test_an_interrupted_question_ends_the_command(command, started, terminal, fetched, monkeypatch, tmp_path):
    def interrupt(*_):
        raise KeyboardInterrupt

    terminal("")
    monkeypatch.setattr(sys.stdin, "readline", interrupt)
    status, _, err = start(command)
    assert (status, err) == (130, "")
    assert (started, fetched) == ([], [])
    assert not (tmp_path / "run").exists()


def test_a_failed_download_is_one_line_and_starts_nothing(refused, started, monkeypatch):
    def fail(*_, **__):
        raise DownloadError("a.safetensors: not there.")

    monkeypatch.setattr(fetch_module, "fetch", fail)
    refused(("train", "own", "plants", "--yes"), "a.safetensors")
    assert started == []


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["--epochs", "0"], ["epochs", 1, 0]),
        (["--image-size", "31"], ["image_size", 32]),
        (["--variant", "fine-tund"], ["fine-tuned"]),
        (["--out", "taken"], ["taken"]),
    ],
)
def test_a_mistake_comes_before_the_question(refused, started, terminal, fetched, words, values):
    Path("taken").touch()
    terminal("y\n")
    refused(("train", "own", "plants", *words), *values)
    assert (started, fetched) == ([], [])


@pytest.mark.parametrize("words", [["--weights", "none"], ["--variant", "scratch"]])
def test_from_scratch_is_not_asked_about(command, own, started, fetched, words):
    assert start(command, *words) == (0, "", "")
    assert started == [own.RECIPE]


def test_a_task_that_is_not_fine_tuned_is_not_asked_about(command, own, started, fetched):
    del own.VARIANTS["fine-tuned"]
    for words in ([], ["--yes"], ["--offline"]):
        assert start(command, *words) == (0, "", "")
    assert started == [own.RECIPE] * 3
    assert fetched == []


@pytest.mark.parametrize(("variant", "weights"), [("fine-tuned", WEIGHTS), ("classic", "timm/a2_in1k")])
def test_a_named_variant_has_no_replacement(command, refused, started, fetched, terminal, variant, weights):
    named = ("train", "own", "plants", "--variant", variant)
    refused(named, weights, f"resnet50 weights fetch {weights}")
    refused((*named, "--offline"), weights)
    terminal("n\n")
    refused(named, weights, begun=True)
    assert (started, fetched) == ([], [])
    terminal("y\n")
    assert command(*named)[0] == 0
    assert [recipe.weights for recipe in started] == [weights]


def test_yes_fetches_what_a_named_variant_needs(command, started, fetched):
    assert start(command, "--variant", "classic", "--yes")[0] == 0
    assert fetched == ["resnet50.a2_in1k.safetensors"]


def test_named_weights_are_fetched_without_a_question(command, started, fetched):
    assert start(command, "--weights", "timm/d_in1k") == (0, "", "")
    assert [recipe.weights for recipe in started] == ["timm/d_in1k"]
    assert fetched == ["resnet50.d_in1k.safetensors"]


def test_named_weights_are_not_fetched_offline(refused, started, fetched):
    refused(("train", "own", "plants", "--weights", "timm/d_in1k", "--offline"), "timm/d_in1k", "--offline")
    assert (started, fetched) == ([], [])


def test_two_answers_are_refused(refused):
    refused(("train", "own", "plants", "--yes", "--offline"), "--yes", "--offline")


def test_a_resumed_run_has_its_weights(refused):
    for word in ("--yes", "--offline"):
        refused(("train", "--resume", "run", word), word)


@pytest.fixture
def probed(command, own, plants, fetched, tmp_path):
    """A run whose last phase was left out: it ended with a linear probe."""
    status, out, err = start(command, "--yes")
    assert (status, err) == (0, "")
    return out


@pytest.mark.slow
def test_a_run_can_end_with_a_linear_probe(probed, numbers, tmp_path):
    run = RunDirectory(tmp_path / "run")
    assert run.read().recipe.weights == WEIGHTS
    assert not run.checkpoint.exists()
    (left_out,) = (line for line in probed.splitlines() if "left out" in line)
    assert numbers(left_out)[:2] == ["2", "2"]
    assert numbers(left_out)[-1] == "90.0%"
    assert len((tmp_path / "run" / "history.csv").read_text().splitlines()) == 2
    assert "run/report.html" in probed


@pytest.mark.slow
def test_a_run_that_ended_with_a_linear_probe_is_resumed(command, probed, tmp_path):
    before = (tmp_path / "run" / "report.json").read_text()
    status, out, err = command("train", "--resume", "run")
    assert (status, err) == (0, "")
    assert "linear probe" in out.splitlines()[0]
    assert (tmp_path / "run" / "report.json").read_text() == before
    assert len((tmp_path / "run" / "history.csv").read_text().splitlines()) == 2


@pytest.mark.slow
def test_a_run_that_ended_with_a_linear_probe_is_trained_on(command, refused, probed, tmp_path):
    refused(("train", "--resume", "run", "--epochs", 1), "run", "epochs")
    status, _, err = command("train", "--resume", "run", "--epochs", 3)
    assert (status, err) == (0, "")
    rows = (tmp_path / "run" / "history.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows[1:]] == ["1", "2", "3"]


@pytest.mark.slow
def test_all_images_are_trained_on_where_none_are_to_be_held_out(command, own, plants, fetched, tmp_path):
    status, out, err = start(command, "--yes", "--validation-split", "0")
    assert (status, err) == (0, "")
    assert "none held out" in out
    assert "left out" not in out
    rows = (tmp_path / "run" / "history.csv").read_text().splitlines()
    assert len(rows) == 4  # the probe, and both epochs of the last phase
    assert "val_loss" not in rows[0]


@pytest.mark.slow
def test_thorough_trains_what_validation_leaves_out(command, own, plants, fetched, tmp_path):
    status, out, err = start(command, "--yes", "--thorough")
    assert (status, err) == (0, "")
    assert "left out" not in out
    assert len((tmp_path / "run" / "history.csv").read_text().splitlines()) == 4
    recipe = RunDirectory(tmp_path / "run").read().recipe
    assert [phase.min_error for phase in recipe.phases] == [0, 0]


@pytest.mark.parametrize("words", [("check", "plants", "--labels"), ("crossval", "plants")])
@pytest.mark.parametrize("offline", [(), ("--offline",)])
def test_a_command_that_needs_features_offers_no_training_from_scratch(command, plants, fetched, words, offline):
    status, _, err = command(*words, *offline)
    assert (status, fetched) == (2, [])
    assert "timm/tv_in1k" in err
    assert "--yes" in err
    assert "--weights FILE" in err
    assert "scratch" not in err
