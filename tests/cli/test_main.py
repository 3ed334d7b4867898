from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from importlib.metadata import version

import pytest

from factories import posix
from resnet50._io.files import atomic_path
from resnet50.cli import COMMANDS, main

HEAVY = ("keras", "tensorflow", "jax", "torch", "matplotlib", "h5py", "numpy", "PIL")


def test_help_names_every_command(command):
    status, out, _ = command("--help")
    assert status == 0
    for name, sentence in COMMANDS.items():
        assert f"\n    {name} " in out
        assert sentence in out
        assert re.fullmatch(r"[A-Z].*\.", sentence)


def test_an_option_before_the_command_is_refused(command):
    status, _, error = command("--bogus", "train", "photos")
    assert (status, "--bogus" in error, error.count("\n")) == (2, True, 1)


def test_a_terminal_that_cannot_show_a_character_gets_it_escaped():
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    script = """
from resnet50.cli import main
try:
    main(["--version"])
finally:
    print(chr(8230))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, env=environment, check=False)
    assert b"\\u2026" in done.stdout


def test_no_garbage_is_looked_for_at_the_end():
    script = """
import atexit, gc
from resnet50.cli import main
atexit.register(lambda: print(gc.get_freeze_count() > 1000))
main(["--version"])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[1:] == ["True"]


def test_no_words_give_help(command):
    assert command() == (0, command("--help")[1], "")


def test_the_version_is_the_packages(command):
    assert command("--version") == (0, f"resnet50 {version('resnet50')}\n", "")


@pytest.mark.parametrize("words", [["--help"], ["--version"]])
def test_the_first_words_load_nothing_heavy(words):
    script = f"""
import sys
from resnet50.cli import main
try:
    main({words!r})
except SystemExit:
    loaded = [name for name in {HEAVY!r} if name in sys.modules]
    sys.exit(f"loaded {{loaded}}" if loaded else 0)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["check", "embed", "evaluate", "explain", "pack", "predict", "rocks"])
def test_the_help_of_what_names_no_recipes_loads_nothing_heavy(name):
    script = f"""
import sys
from resnet50.cli import main
try:
    main([{name!r}, "--help"])
except SystemExit:
    loaded = [name for name in {HEAVY!r} if name in sys.modules]
    sys.exit(f"loaded {{loaded}}" if loaded else 0)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_a_commands_help_loads_no_keras(name):
    script = f"""
import sys
from resnet50.cli import main
try:
    main([{name!r}, "--help"])
except SystemExit:
    sys.exit(any(heavy in sys.modules for heavy in ("keras", "tensorflow", "matplotlib", "scipy", "rich")))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"usage: resnet50 {name} ")
    assert re.search(r"^examples:\n  resnet50 ", done.stdout, re.MULTILINE)


def test_the_module_is_the_command():
    done = subprocess.run([sys.executable, "-m", "resnet50", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"resnet50 {version('resnet50')}\n"


@pytest.mark.parametrize(
    ("words", "program", "values"),
    [
        (["trian"], "resnet50", ["command", "'trian'", "did you mean train?", "'resnet50 --help'"]),
        (["rates"], "resnet50", ["command", "'rates'", "lr-find"]),
        (
            ["train", "folder", ".", "--epocs", "3"],
            "resnet50 train",
            ["--epocs", "did you mean --epochs?", "'resnet50 train --help'"],
        ),
        (["weights", "lst"], "resnet50 weights", ["'lst'", "did you mean list?", "'resnet50 weights --help'"]),
        (["predict", "a.png", "b.png", "--modle", "x"], "resnet50 predict", ["--modle", "did you mean --model?"]),
        (["--unknown"], "resnet50", ["--unknown"]),
        (["train", "--epochs", "many", "signs"], "resnet50 train", ["--epochs", "'many'"]),
        (["train", "signs", "--nesterov=1"], "resnet50 train", ["--nesterov=1"]),
        (["data"], "resnet50 data", ["ACTION"]),
        (["data", "fetch", "imagenet"], "resnet50 data fetch", ["argument name", "'imagenet'"]),
        (["predict"], "resnet50 predict", ["IMAGE"]),
    ],
)
def test_wrong_words_get_one_line_and_status_2(command, words, program, values):
    status, out, err = command(*words)
    assert (status, out) == (2, "")
    assert err.startswith(f"{program}: ")
    assert [value for value in values if value not in err] == []
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ["train", "signs", "--weights", "imagent"],
        ["train", "signs", "--weights", "nowhere.h5"],
        ["train", "signs", "--variant", "fine-tund"],
        ["train", "signs", "--out", "run"],
        ["train", "signs", "--image-size", "31"],
        ["train", "signs", "--test-split", "2"],
        ["lr-find", "signs", "--batch-size", "0"],
        ["lr-find", "signs", "--out", "curve.txt"],
        ["evaluate", "model.keras", "--calibrate", "x.keras"],
        ["evaluate", "run", "--calibrate", "x.h5"],
        ["evaluate", "run", "--pattern", "x"],
        ["predict", "a.png", "--model", "model.keras", "--top", "0"],
        ["predict", "a.png", "--model", "model.keras", "--out", "a.txt"],
        ["predict", "a.png", "--model", "model.keras", "--out", "model.keras"],
        ["embed", "photos", "out.npy", "--model", "model.keras"],
        ["explain", "a.png", "--model", "model.keras", "--out", "run"],
        ["export", "model.keras", "out", "--format", "onnx", "--precision", "bf16"],
        ["export", "model.keras", "run", "--format", "onnx"],
        ["check", "photos", "--out", "page.txt"],
        ["pack", "photos", "out.zip"],
        ["summary", "--image-size", "0"],
        ["bench", "--batch-size", "0"],
        ["rocks", "similarity", "model.keras", "--permutations", "0"],
    ],
    ids=" ".join,
)
def test_options_are_checked_before_keras_is_loaded_and_images_are_read(tmp_path, words):
    (tmp_path / "run").mkdir()
    (tmp_path / "photos").mkdir()
    for name in ("run/recipe.json", "run/model.keras", "model.keras", "a.png"):
        (tmp_path / name).touch()
    script = f"""
import sys
from resnet50.cli import main
from resnet50 import datasets
def load(*_, **__):
    sys.exit("images were read")
for name in datasets.DATASETS:
    datasets.DATASETS[name] = load
try:
    main({words!r})
except SystemExit as stop:
    loaded = [name for name in ("keras", "tensorflow", "matplotlib") if name in sys.modules]
    sys.exit(f"loaded {{loaded}}" if loaded else stop.code)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ("explain", "a.png", "--model", "exported"),
        ("embed", "photos", "a.npz", "--model", "exported"),
        ("summary", "exported"),
        ("rocks", "similarity", "exported"),
        ("export", "exported", "out", "--format", "onnx"),
    ],
    ids=lambda words: words[0],
)
def test_a_command_that_needs_layers_refuses_an_export_before_it_opens_one(refused, tmp_path, words):
    (tmp_path / "exported").mkdir()
    (tmp_path / "exported" / "resnet50.json").write_text("{}")  # it would be refused for another reason
    refused(words, "exported", "an export", ".keras")


@pytest.mark.parametrize(
    ("words", "package"),
    [
        (("train", "photos"), "keras"),
        (("lr-find", "photos"), "keras"),
        (("crossval", "photos"), "keras"),
        (("evaluate", "runs/photos"), "matplotlib"),
        (("pack", "photos", "photos-records", "--records"), "scipy"),
    ],
)
def test_the_small_installation_refuses_a_command_before_anything_is_read(command, monkeypatch, words, package):
    monkeypatch.setattr("resnet50.cli.installed.find_spec", lambda name: None if name == package else name)
    status, out, error = command(*words)
    assert (status, out, error.count("\n")) == (2, "", 1)
    assert f"the package {package}," in error


def test_a_backend_that_is_missing_says_itself_what_to_do(command, monkeypatch):
    def missing(_):
        raise ModuleNotFoundError(
            "expected the package tensorflow, which KERAS_BACKEND names; set it.", name="tensorflow"
        )

    monkeypatch.setattr("resnet50.cli.check_installed", missing)
    status, _, error = command("runs")
    assert status == 2
    assert "KERAS_BACKEND names" in error


@posix
def test_a_signal_that_ends_a_command_leaves_no_temporary_file(monkeypatch, tmp_path):
    def run(options):
        with atomic_path(tmp_path / "answers.csv"):
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr("resnet50.cli.recipes.run", run)
    with pytest.raises(SystemExit) as ended:
        main(["recipes"])
    assert ended.value.code == 128 + signal.SIGTERM
    assert not list(tmp_path.iterdir())
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
