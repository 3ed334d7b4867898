"""What a path is: a run, a model file or an export, and what belongs to a run."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from factories import raises
from resnet50.comparison.runs import read_run
from resnet50.inference.locate import Located, latest_run, locate, resume_command


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    touch(folder / "model.keras", folder / "recipe.json", folder / "checkpoints" / "best.keras")
    return folder


def test_a_run_is_its_folder(run):
    assert locate(run) == locate(str(run)) == Located("run", run / "model.keras", run)


@pytest.mark.parametrize("name", ["model.keras", "checkpoints/best.keras"])
def test_the_models_of_a_run_belong_to_it(run, name, tmp_path, monkeypatch):
    assert locate(run / name) == Located("model", run / name, run)
    monkeypatch.chdir(run)
    assert locate(name) == Located("model", Path(name), run)
    (tmp_path / "link.keras").symlink_to(run / name)
    assert locate(tmp_path / "link.keras") == Located("model", tmp_path / "link.keras", run)


def test_another_model_beside_a_run_does_not_belong_to_it(run):
    touch(run / "calibrated.keras")
    assert locate(run / "calibrated.keras") == Located("model", run / "calibrated.keras", None)


def test_a_model_without_a_recipe_belongs_to_no_run(tmp_path):
    touch(tmp_path / "copied" / "model.keras")
    assert locate(tmp_path / "copied" / "model.keras").run is None
    assert locate(tmp_path / "copied") == Located("model", tmp_path / "copied" / "model.keras", None)


def test_an_export_is_a_folder_with_a_description(tmp_path, run):
    touch(tmp_path / "export" / "resnet50.json", tmp_path / "export" / "model.onnx", run / "onnx" / "resnet50.json")
    assert locate(tmp_path / "export") == Located("export", tmp_path / "export", None)
    assert locate(run / "onnx") == Located("export", run / "onnx", None)
    with raises(ValueError, tmp_path / "export" / "model.onnx", "'.onnx'", tmp_path / "export"):
        locate(tmp_path / "export" / "model.onnx")


def test_what_is_no_model_is_refused(tmp_path, run):
    with raises(FileNotFoundError, tmp_path / "nothing.keras", ".keras"):
        locate(tmp_path / "nothing.keras")
    with raises(FileNotFoundError, "https://a.org/m.keras", "URL", "download"):
        locate("https://a.org/m.keras")
    touch(tmp_path / "empty" / "notes.txt")
    with raises(FileNotFoundError, tmp_path / "empty", "model.keras", "resnet50.json"):
        locate(tmp_path / "empty")
    with raises(ValueError, tmp_path / "empty" / "notes.txt", "'.txt'", ".keras"):
        locate(tmp_path / "empty" / "notes.txt")
    for path in (tmp_path / "nothing", tmp_path / "empty"):
        with raises(FileNotFoundError, path, "expected a run, got"):
            locate(path, expected="a run")
    (run / "model.keras").unlink()
    with raises(FileNotFoundError, run, "model.keras") as caught:
        locate(run)
    assert str(caught.value).endswith(f": resnet50 train --resume {run}")


def named(call, path) -> str:
    with raises(FileNotFoundError, path) as caught:
        call(path)
    return str(caught.value)


@pytest.mark.parametrize("call", [locate, read_run])
def test_where_there_is_no_run_those_that_exist_are_named(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "resnet50 train" in named(call, Path("runs", "pets"))
    for day in range(1, 5):
        touch(Path("runs", f"pets-{day}", "model.keras"), Path("runs", f"pets-{day}", "recipe.json"))
        Path("runs", f"pets-{day}", "environment.json").write_text(f'{{"started": "2026-01-0{day}T00:00:00+00:00"}}')
    for path in (Path("runs", "dogs-*"), Path("elsewhere"), Path("runs")):
        text = named(call, path)
        assert "runs/pets-4, runs/pets-3, runs/pets-2 and 1 more (resnet50 runs" in text.replace(os.sep, "/")
    touch(Path("runs", "crossval-pets", "crossval.json"), Path("runs", "full", "seed-0-fold-1", "recipe.json"))
    for name in ("crossval-pets", "full"):
        text = named(call, Path("runs", name))
        assert "cross-validation" in text
        assert "pets-4" in text


def test_a_command_names_a_run_as_a_shell_reads_it():
    assert resume_command(Path("runs")) == "resnet50 train --resume runs"


def test_the_latest_run_is_the_one_that_was_started_last(tmp_path):
    for age, (name, started) in enumerate({"b": "2026-01-02T10:00:00+00:00", "a": "2026-01-02T11:30:00+02:00"}.items()):
        touch(tmp_path / name / "model.keras")
        os.utime(tmp_path / name / "model.keras", (10**9 + age, 10**9 + age))  # as if "a" had been copied after "b"
        (tmp_path / name / "environment.json").write_text(json.dumps({"started": started}))
    assert latest_run(tmp_path) == tmp_path / "b"
    for damaged in ("", "[]", '{"started": 1}', '{"started": "soon"}', "{}"):
        (tmp_path / "a" / "environment.json").write_text(damaged)
        assert latest_run(tmp_path) == tmp_path / "b"


@pytest.mark.parametrize(
    ("name", "content", "hint"),
    [
        ("m.h5", b"PK\x03\x04 and so on", "m.keras"),
        ("m.zip", b"PK\x03\x04 and so on", "m.keras"),
        ("m.h5", b"\x89HDF\r\n\x1a\n and so on", "--weights"),
        ("m.h5", b"", "'.h5'"),
    ],
)
def test_a_file_with_another_ending_is_described_by_its_content(name, content, hint, tmp_path):
    (tmp_path / name).write_bytes(content)
    with raises(ValueError, tmp_path / name, hint):
        locate(tmp_path / name)


def test_the_latest_run_without_a_record_is_that_of_the_newest_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for age, name in enumerate(["b", "a", "c"]):
        touch(Path("runs", name, "model.keras"))
        os.utime(Path("runs", name, "model.keras"), (1000 - age, 1000 - age))
    touch(Path("runs", "unfinished", "recipe.json"))
    assert latest_run() == Path("runs", "b")
    assert latest_run(tmp_path / "runs") == tmp_path / "runs" / "b"
    with raises(FileNotFoundError, "elsewhere"):
        latest_run("elsewhere")
