from __future__ import annotations

import json
import sys

import pytest

from resnet50.training.phases import Phase
from resnet50.training.recipe import Recipe


def test_runs_are_listed_with_what_differs(command, write_run):
    folder = write_run("first", [0]).parent
    write_run("second", [1, 2], seed=1)
    write_run("third [bold]", [], epochs=7)
    status, out, _ = command("runs", folder, "--sort", "accuracy")
    assert status == 0
    best, pair = (line for line in out.splitlines() if "photos" in line)
    assert "third [bold]" in best
    assert "100.0%" in best
    assert "epochs 7" in best
    assert "first and 1 more" in pair
    assert "85.0%, sd 7.1" in pair
    assert "5 s" in pair
    assert " 3.0 " in pair


def test_recipes_that_differ_in_many_numbers_take_a_few_lines(command, write_run):
    two = Recipe(name="photos", phases=(Phase(epochs=1, trainable="head"), Phase(epochs=2)), weights="a/b.keras")
    folder = write_run("first").parent
    write_run("second", recipe=two)
    write_run("third", epochs=7)
    status, out, _ = command("runs", folder)
    assert status == 0
    assert len(out.splitlines()) < 30
    assert "b.keras" in out
    assert "a/b.keras" not in out
    assert "more" in out


LONG = "photos-of-the-second-greenhouse-20260102-030405"


@pytest.fixture
def long_names(write_run):
    """The folder of runs that differ at the end of their names and in many numbers."""
    write_run(LONG, [0])
    return write_run(f"{LONG}-2", epochs=7, learning_rate=0.0125, weight_decay=0.0625).parent


def test_a_pipe_has_every_cell_in_one_line(command, long_names, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = [line for line in command("runs", long_names)[1].splitlines() if LONG in line]
    assert [line.split()[0] for line in lines] == [LONG, f"{LONG}-2"]
    assert "0.0125" in lines[1]
    assert "0.0625" in lines[1]


def test_a_narrow_terminal_has_the_recipe_below_the_row_and_cuts_nothing(command, long_names, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    lines = command("runs", long_names)[1].splitlines()
    assert [line.split()[0] for line in lines[:5:2]] == ["run", LONG, f"{LONG}-2"]
    assert lines[1] == "    recipe"
    assert "0.0125" in lines[5]
    assert "…" not in "".join(lines)


def test_runs_are_printed_as_json(command, write_run):
    folder = write_run("first", [0], seed=4).parent
    status, out, _ = command("runs", folder, "--json")
    (run,) = json.loads(out)["runs"]
    assert status == 0
    assert (run["folder"], run["recipe"]["seed"], run["seconds"]) == (str(folder / "first"), 4, 5)


def test_a_damaged_run_is_named_on_standard_error(command, write_run):
    folder = write_run("first").parent
    (write_run("second") / "environment.json").write_text("{}")
    status, out, error = command("runs", folder)
    assert status == 0
    assert "first" in out
    assert "second" in error
    assert "second" not in out


def test_a_folder_without_runs_is_refused(refused, tmp_path):
    refused(("runs", tmp_path), tmp_path)
