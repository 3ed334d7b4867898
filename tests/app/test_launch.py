"""Starting and ending the page; `test_page` opens it."""

from __future__ import annotations

import os
import re
import shutil
import socket
import sys
import tempfile
import urllib.request
from pathlib import Path

import pytest

from factories import raises
from resnet50.app.launch import RunningApp, launch_app
from resnet50.inference.classifier import Classifier

DOCS = Path(__file__).resolve().parents[2] / "docs" / "guides"
GUIDE = (DOCS / "app.md").read_text(encoding="utf-8")


@pytest.fixture
def gradio():
    return pytest.importorskip("gradio", exc_type=ImportError)


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """The folder for temporary files."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path / "temporary"


@pytest.mark.parametrize("port", [0, 65536])
def test_a_port_that_does_not_exist_is_refused(port, run):
    with raises(ValueError, "65535", port):
        launch_app(run.folder, port=port)


def test_what_is_no_model_is_refused(tmp_path):
    with raises(FileNotFoundError, tmp_path / "none"):
        launch_app(tmp_path / "none")


def test_an_export_is_refused(tmp_path):
    (tmp_path / "resnet50.json").touch()
    with raises(ValueError, tmp_path, "export"):
        launch_app(tmp_path)


def test_gradio_is_asked_for_before_the_model_is_opened(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.setattr(Classifier, "load", None)
    with raises(ImportError, "resnet50[app]"):
        launch_app(run.folder)


def test_a_port_in_use_is_refused_before_anything_else(run, monkeypatch):
    monkeypatch.setattr(Classifier, "load", None)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with raises(OSError, port):
            launch_app(run.folder, port=port)


@pytest.mark.slow
@pytest.mark.usefixtures("gradio")
def test_nothing_is_left_if_it_does_not_start(run, temporary, monkeypatch):
    def fail(*_, **__):
        raise OSError("no")

    monkeypatch.setattr("resnet50.app.launch.build_page", fail)
    with raises(OSError, "no"):
        launch_app(run.folder)
    assert list(temporary.iterdir()) == []
    assert "GRADIO_TEMP_DIR" not in os.environ


@pytest.mark.slow
@pytest.mark.usefixtures("gradio")
def test_the_space_of_the_guide_answers_to_any_name(run, temporary, tmp_path, monkeypatch):
    (program,) = re.findall(r"(?m)^`app.py`:\n\n```python\n(.*?)```", GUIDE, re.DOTALL)
    shutil.copy(run.model, tmp_path)
    monkeypatch.chdir(tmp_path)
    apps = []
    with monkeypatch.context() as patch:
        patch.setattr(RunningApp, "wait", lambda app: apps.append(app))
        exec(compile(program, "app.py", "exec"), {})  # noqa: S102 - the program of this repository
    (app,) = apps
    with app:
        assert len(list(temporary.iterdir())) == 1
        assert "model.keras belongs to no run" in app.remark
        request = urllib.request.Request(app.url, headers={"Host": "example.org"})
        with urllib.request.urlopen(request) as answer:
            assert answer.status == 200
            assert "content-security-policy" in answer.headers
    app.wait()  # it has ended
    assert list(temporary.iterdir()) == []
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(app.url)


def test_the_space_of_the_guide_needs_the_packages_of_the_small_installation():
    small = (DOCS / "small_installation.md").read_text(encoding="utf-8")
    (packages,) = re.findall(r"pip install (numpy .*)", small)
    (requirements,) = re.findall(r"(?m)^`requirements.txt`:\n\n```text\n(.*?)```", GUIDE, re.DOTALL)
    assert requirements.split() == packages.split()
