from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from factories import AS_IN_A_TERMINAL, classifier, posix


@pytest.fixture
def model(tmp_path):
    """A classifier without a run."""
    (tmp_path / "models").mkdir()
    classifier().save(tmp_path / "models" / "m.keras")
    return tmp_path / "models" / "m.keras"


@pytest.fixture
def without_gradio(monkeypatch):
    monkeypatch.setattr(os, "environ", os.environ.copy())
    monkeypatch.setitem(sys.modules, "gradio", None)


@pytest.mark.usefixtures("without_gradio")
def test_without_gradio_the_command_that_installs_it_is_named(refused, model):
    assert 'pip install "resnet50[app]"' in refused(("app", model, "--no-browser"))


@pytest.mark.parametrize(
    ("words", "values"),
    [
        ([], ["runs"]),
        (["none"], ["none"]),
        (["MODEL", "--port", 0], ["--port", 1, 0]),
        (["MODEL", "--port", 70_000], [65535, 70000]),
    ],
)
def test_what_cannot_be_done_gets_one_line_and_status_2(refused, model, words, values):
    refused(["app", *(model if word == "MODEL" else word for word in words)], *values)


def test_an_export_is_refused(refused, tmp_path):
    (tmp_path / "resnet50.json").touch()
    assert "export" in refused(("app", tmp_path))


@posix
@pytest.mark.slow
def test_the_page_is_served_until_ctrl_c(model, tmp_path):
    pytest.importorskip("gradio", exc_type=ImportError)
    folders = {name: tmp_path / name for name in ("TMPDIR", "HOME", "RESNET50_CACHE")}
    for folder in folders.values():
        folder.mkdir()
    script = AS_IN_A_TERMINAL + "import runpy; runpy.run_module('resnet50', run_name='__main__')"
    command = [sys.executable, "-c", script, "app", model, "--no-browser"]
    package = str(Path(__file__).resolve().parents[2])
    process = subprocess.Popen(
        list(map(str, command)),
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": package,
            "COLUMNS": "1000",
            **{name: str(path) for name, path in folders.items()},
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        about, address = process.stderr.readline(), process.stderr.readline()
        assert str(model) in about
        assert "belongs to no run" in about
        with urllib.request.urlopen(address.split()[0]) as answer:
            assert answer.status == 200
        assert [path.name[:13] for path in folders["TMPDIR"].iterdir()] == ["resnet50-app-"]
        process.send_signal(signal.SIGINT)
        out, rest = process.communicate(timeout=300)
    finally:
        process.kill()
    assert (process.returncode, out, rest) == (130, "", "")
    assert list(folders["TMPDIR"].iterdir()) == []
    assert list(folders["HOME"].iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*folders, "models"])
