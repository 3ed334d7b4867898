from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest

from factories import raises
from resnet50.conventions import V1_5
from resnet50.data.dataset import Unreadable
from resnet50.data.left_out import LeftOut
from resnet50.data.options import ReadOptions
from resnet50.datasets.source import DataSource
from resnet50.training.record import PretrainedWeights, RunRecord
from resnet50.training.run import RunDirectory, write_left_out, write_unreadable


@pytest.fixture
def record(tiny_recipe):
    return RunRecord(
        recipe=tiny_recipe,
        source=DataSource("folder", "pets", ReadOptions(pattern="(?P<class>.)")),
        fingerprints={"train": "0", "test": "1"},
        environment={"backend": "b", "versions": {"python": "3"}, "machine": {"threads": 2}, "commit": None},
        dataset="pets",
        precision="float32",
        weights=PretrainedWeights("some/weights", V1_5, "torch", "2"),
    )


def test_a_new_directory_holds_what_the_run_is_started_with(record, tmp_path):
    for name, started in (("a", record), ("b", replace(record, source=None, weights=None))):
        run = RunDirectory(tmp_path / name / "run")
        run.create(started)
        assert run.read() == started
        assert {path.name for path in run.path.iterdir()} == {"recipe.json", "environment.json"}


def test_the_files_of_a_run_are_its_attributes(tmp_path):
    run = RunDirectory(tmp_path)
    assert run.model == tmp_path / "model.keras"
    assert run.checkpoint == tmp_path / "checkpoints" / "last.h5"
    assert (RunDirectory.page.name, "report" in RunDirectory.page.meaning) == ("report.html", True)


def test_a_directory_with_a_run_is_not_overwritten(record, tmp_path):
    run = RunDirectory(tmp_path)
    run.create(record)
    before = run.recipe.read_text(), run.environment.read_text()
    with raises(ValueError, tmp_path):
        run.create(replace(record, precision="bfloat16"))
    assert (run.recipe.read_text(), run.environment.read_text()) == before


def test_two_runs_that_are_created_at_once_are_not_mixed(record, tmp_path, monkeypatch):
    run = RunDirectory(tmp_path)
    refuse, calls = RunDirectory.check_new, []

    def too_early(self):
        calls.append(self)
        if len(calls) > 2:  # both look before either writes
            refuse(self)

    monkeypatch.setattr(RunDirectory, "check_new", too_early)
    run.create(record)
    with raises(ValueError, tmp_path):
        run.create(replace(record, precision="bfloat16"))
    assert run.read() == record
    assert {path.name for path in tmp_path.iterdir()} == {"recipe.json", "environment.json"}


def test_of_ten_starts_at_once_one_gets_the_directory(record, tmp_path):
    run, together = RunDirectory(tmp_path / "run"), Barrier(10)
    records = [replace(record, recipe=record.recipe.change(seed=seed)) for seed in range(10)]

    def start(one):
        together.wait()
        try:
            run.create(one)
        except ValueError:
            return None
        return one

    with ThreadPoolExecutor(10) as pool:
        started = [one for one in pool.map(start, records) if one is not None]
    assert started == [run.read()]


def test_a_file_in_place_of_the_directory_is_refused(tmp_path):
    (tmp_path / "run").write_text("")
    with raises(ValueError, tmp_path / "run"):
        RunDirectory(tmp_path / "run").check_new()


def test_a_directory_without_a_run_is_refused(tmp_path):
    with raises(FileNotFoundError, tmp_path, "recipe.json"):
        RunDirectory(tmp_path).read()
    with raises(FileNotFoundError, tmp_path / "nothing", "does not exist", "resnet50 train"):
        RunDirectory(tmp_path / "nothing").read()


@pytest.mark.parametrize("data", [{}, {"task": "folder", "path": "x", "how": {}, "fingerprints": {}}, "somewhere"])
def test_a_run_of_an_earlier_version_is_refused(data, record, tmp_path):
    run = RunDirectory(tmp_path)
    run.create(record)
    environment = json.loads(run.environment.read_text())
    run.environment.write_text(json.dumps({**environment, "data": data}))
    with raises(ValueError, run.environment, "version", "data.name", "data.source"):
        run.read()


def test_a_recipe_of_an_earlier_version_is_refused(record, tmp_path):
    run = RunDirectory(tmp_path)
    run.create(record)
    run.recipe.write_text('{"name": "tiny", "epochs": 4}')
    with raises(ValueError, run.recipe, "version", "phases"):
        run.read()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("versions", [1]),
        ("precision", 1.5),
        ("precision", "auto"),
        ("commit", {}),
        ("started", 5),
        ("data.corrections", 5),
        ("weights", {"origin": "x"}),
        ("weights", [1]),
        ("data.name", None),
        ("data.fingerprints", {"train": 1}),
        ("data.source", 1),
        ("data.source", {"task": "folder", "path": 1, "options": {}}),
    ],
)
def test_values_of_other_types_are_refused(name, value, record, tmp_path):
    run = RunDirectory(tmp_path)
    run.create(record)
    values = environment = json.loads(run.environment.read_text())
    *outer, last = name.split(".")
    for key in outer:
        values = values[key]
    values[last] = value
    run.environment.write_text(json.dumps(environment))
    with raises(ValueError, run.environment, last, value):
        run.read()


@pytest.mark.parametrize("name", ["recipe", "environment"])
def test_json_that_is_nested_too_deeply_is_refused(name, record, tmp_path):
    run = RunDirectory(tmp_path)
    run.create(record)
    getattr(run, name).write_text("[" * 100_000)
    with raises(ValueError, getattr(run, name), "JSON"):
        run.read()


@pytest.mark.parametrize("name", ["recipe.json", "environment.json"])
def test_a_record_of_any_size_is_not_read(name, record, tmp_path):
    run = RunDirectory(tmp_path)
    run.create(record)
    with (tmp_path / name).open("a") as file:
        file.write(" " * (16 << 20))
    with raises(ValueError, tmp_path / name, "16 MiB"):
        run.read()


def test_a_huge_value_makes_no_huge_message(record, tmp_path):
    run = RunDirectory(tmp_path)
    run.create(record)
    values = json.loads(run.recipe.read_text())
    run.recipe.write_text(json.dumps(values | {"head": "x" * 10**6}))
    with raises(ValueError, run.recipe, "head") as caught:
        run.read()
    assert len(str(caught.value)) < 2000


def test_a_source_that_is_not_known_is_refused(record, tmp_path):
    run = RunDirectory(tmp_path)
    run.create(record)
    environment = json.loads(run.environment.read_text())
    environment["data"]["source"]["task"] = "zebras"
    run.environment.write_text(json.dumps(environment))
    with raises(ValueError, run.environment, "zebras"):
        run.read()


def test_reading_a_run_loads_no_backend():
    script = "import sys, resnet50.training.run; sys.exit('keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_what_a_killed_process_had_begun_is_removed(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / ".partial-a").write_text("half")
    (tmp_path / ".partial-export").mkdir()
    (tmp_path / ".partial-export" / "model.onnx").write_text("half")
    (tmp_path / "model.keras").write_text("whole")
    RunDirectory(tmp_path).remove_leftovers()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["checkpoints", "model.keras"]


def test_unreadable_files_are_a_table(tmp_path):
    files = (Unreadable("a, b.jpg", "it is cut off"), Unreadable("c\udcff.png", 'no "image"'))
    write_unreadable(tmp_path / "unreadable.csv", files)
    text = (tmp_path / "unreadable.csv").read_bytes()
    assert text == b'path,reason\r\n"a, b.jpg",it is cut off\r\nc\xff.png,"no ""image"""\r\n'


def test_what_was_left_out_is_a_table(tmp_path):
    write_left_out(
        tmp_path / "left_out.csv", (LeftOut("not-image", "cat\udcff", ".dcm", 3), LeftOut("no-images", "b", "", 1))
    )
    text = (tmp_path / "left_out.csv").read_bytes()
    assert text == b"reason,place,suffix,count\r\nnot-image,cat\xff,.dcm,3\r\nno-images,b,,1\r\n"


def test_a_run_is_not_begun_at_a_link_to_nothing(tmp_path):
    (tmp_path / "dead").symlink_to(tmp_path / "gone")
    with raises(ValueError, tmp_path / "dead", "link", tmp_path / "gone"):
        RunDirectory(tmp_path / "dead").check_new()
    (tmp_path / "file").touch()
    with raises(ValueError, tmp_path / "file", "a file"):
        RunDirectory(tmp_path / "file" / "run").check_new()


def test_damaged_files_are_named(record, tmp_path):
    run = RunDirectory(tmp_path)
    run.create(record)
    environment = run.environment.read_text()
    run.environment.write_text("{")
    with raises(ValueError, run.environment, "line 1 column 2"):
        run.read()
    run.environment.write_text("{}")
    with raises(ValueError, run.environment, "backend", "versions", "machine", "precision", "data", "weights"):
        run.read()
    run.environment.write_text(environment)
    run.recipe.write_text("{")
    with raises(ValueError, run.recipe, "line 1 column 2"):
        run.read()


def test_a_run_is_trained_by_one_process(record, tmp_path):
    run = RunDirectory(tmp_path / "run")
    run.create(record)
    with run.locked(), raises(ValueError, run.path), run.locked():
        pass
    with run.locked():
        pass
    assert {path.name for path in run.path.iterdir()} == {"recipe.json", "environment.json"}


def test_reasons_and_paths_are_utf8_and_no_formulas(tmp_path, monkeypatch):
    files = [Unreadable("=1+1/\u732b.png", "-x")]
    write_unreadable(tmp_path / "unreadable.csv", files)
    text = (tmp_path / "unreadable.csv").read_text(encoding="utf-8")
    assert text.splitlines()[1:] == ["'=1+1/\u732b.png,'-x"]
