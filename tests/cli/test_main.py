from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest

from resnet50.cli import COMMANDS

HEAVY = ("keras", "tensorflow", "jax", "torch", "matplotlib", "h5py", "numpy", "PIL")


def test_help_names_every_command(command):
    status, out, _ = command("--help")
    assert status == 0
    for name in ("train", "evaluate", "predict", "summary", "data", "recipes"):
        assert f"\n    {name} " in out


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


def test_the_module_is_the_command():
    done = subprocess.run([sys.executable, "-m", "resnet50", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"resnet50 {version('resnet50')}\n"


@pytest.mark.parametrize(
    ("words", "program", "values"),
    [
        (["tran"], "resnet50", ["COMMAND", "'tran'"]),
        (["--unknown"], "resnet50", ["--unknown"]),
        (["train", "--epochs", "many", "signs"], "resnet50 train", ["--epochs", "'many'"]),
        (["train", "signs", "--momentum=1"], "resnet50", ["--momentum=1"]),
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
