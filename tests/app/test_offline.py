from __future__ import annotations

import os
import sys
import types

import pytest

from factories import raises
from resnet50.app.offline import import_gradio


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    """A copy of the environment, which importing changes."""
    monkeypatch.setattr(os, "environ", os.environ.copy())


def test_without_gradio_the_command_that_installs_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    with raises(ImportError, 'pip install "resnet50[app]"'):
        import_gradio()


def test_what_gradio_lacks_is_named_as_it_is(monkeypatch):
    def broken(name, *_):
        if name == "gradio":
            raise ModuleNotFoundError("No module named 'pandas'", name="pandas")
        return original(name, *_)

    original = __import__
    monkeypatch.setattr("builtins.__import__", broken)
    with raises(ModuleNotFoundError, "pandas"):
        import_gradio()


def test_it_reports_to_nobody_and_no_variable_overrules_the_page(monkeypatch):
    for name in ("gradio", "safehttpx"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    os.environ.update(GRADIO_SHARE="True", GRADIO_VIBE_MODE="True", GRADIO_ALLOWED_PATHS="/", NO_PROXY="example.org")
    os.environ.pop("no_proxy", None)
    assert import_gradio() is import_gradio() is sys.modules["gradio"]
    assert not {"GRADIO_SHARE", "GRADIO_VIBE_MODE", "GRADIO_ALLOWED_PATHS"} & set(os.environ)
    assert os.environ["GRADIO_ANALYTICS_ENABLED"] == "False"
    assert os.environ["NO_PROXY"] == "example.org,127.0.0.1,localhost"
    assert os.environ["no_proxy"] == "127.0.0.1,localhost"
