from __future__ import annotations

import os
import pkgutil
import subprocess
import sys

import pytest

import resnet50
import resnet50.weights
from factories import raises


def test_every_public_name_is_there():
    for name in resnet50.__all__:
        assert getattr(resnet50, name).__doc__, name
        assert name in dir(resnet50)


def test_a_folder_of_the_same_name_does_not_hide_the_package(tmp_path):
    """A checkout is such a folder for Python that is started beside it."""
    (tmp_path / "resnet50").mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    script = [sys.executable, "-c", "import resnet50; print(resnet50.__file__)"]
    found = subprocess.run(script, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == resnet50.__file__


def test_no_public_name_is_that_of_a_top_level_module():
    modules = {module.name for module in pkgutil.iter_modules(resnet50.__path__)}
    assert modules.isdisjoint(resnet50.__all__)


def test_every_public_name_of_the_weights_is_there():
    for name in resnet50.weights.__all__:
        assert getattr(resnet50.weights, name) is not None
        assert name in dir(resnet50.weights)
    assert resnet50.load_weights is resnet50.weights.load_weights


def test_an_unknown_name_is_an_attribute_error():
    with raises(AttributeError, "resnet50.weights", "unload"):
        resnet50.weights.unload  # noqa: B018 - the access is the test
    with raises(AttributeError, "resnet50", "ResNet51"):
        resnet50.ResNet51  # noqa: B018 - the access is the test


@pytest.mark.parametrize("module", ["resnet50", "resnet50.weights", "resnet50.weights.registry"])
def test_importing_loads_no_backend(module):
    script = f"import sys, {module}; sys.exit(any(m in sys.modules for m in ('keras', 'tensorflow', 'numpy')))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


@pytest.mark.parametrize(("given", "expected"), [({}, "1"), ({"ORT_DISABLE_TELEMETRY": "0"}, "0")])
def test_onnx_runtime_reports_to_nobody_unless_it_is_asked_to(given, expected):
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    script = "import os, resnet50; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    done = subprocess.run(
        [sys.executable, "-c", script], env={**environment, **given}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == expected


@pytest.mark.parametrize(("before", "name"), [("", "telemetry_stub"), ("openvino_telemetry, ", "openvino_telemetry")])
def test_openvino_reports_to_nobody_unless_it_is_asked_to(before, name):
    script = f"import {before}resnet50; from openvino.tools.ovc import telemetry_utils as used; print(used.tm.__name__)"
    environment = {**os.environ, "CI": "true"}  # so that this test does not report, either
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip().rpartition(".")[2] == name
