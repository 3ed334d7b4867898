from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_ours_is_measured_anywhere(tmp_path):
    if importlib.util.find_spec("jax") is None:
        pytest.skip("jax is not installed")
    words = ["--image-size", 32, "--batches", 2, "--steps", 2, "--contenders", "ours", "--peak-tflops", 0.5]
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "gpu.py", *map(str, words), "--out", tmp_path / "gpu.json"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    written = json.loads((tmp_path / "gpu.json").read_text())
    assert written["predicted"]["ours_over_PyTorch"]["training"]
    measured = written["batches"]["2"]["ours"]
    assert measured["device"] == "cpu"
    for what, passes in (("training", 3), ("training_waiting", 3), ("training_fed", 3), ("inference", 1)):
        rate = measured[what]["median"]
        assert 0 < measured[what]["min"] <= rate <= measured[what]["max"]
        # 2.05e6 of the classifier, and what the convolutions need on 32 x 32 pixels
        assert 0.075e9 < measured["macs"] < 0.09e9
        assert measured[what]["flop_utilization"] == pytest.approx(rate * 2 * measured["macs"] * passes / 0.5e12)


@pytest.fixture(scope="module")
def gpu():
    specification = importlib.util.spec_from_file_location("gpu", ROOT / "benchmarks" / "gpu.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_ours_is_compared_with_what_has_run(gpu):
    measured = {
        "ours": {"training": {"median": 300.0}, "inference": {"median": 90.0}},
        "Keras": {"training": {"median": 200.0}},
        "PyTorch": {"failed": "no memory"},
    }
    assert gpu.compared(measured, "Keras") == {"ours_over_Keras": {"training": 1.5}}
    assert gpu.compared(measured, "PyTorch") == {}


def test_a_contender_that_cannot_run_is_reported_with_its_reason(gpu, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    (tmp_path / "python").write_text("#!/bin/sh\necho 'ModuleNotFoundError: no torch' >&2\nexit 1\n")
    (tmp_path / "python").chmod(0o755)
    assert gpu.measure("PyTorch", 2, Namespace(image_size=32, steps=1)) == {"failed": "ModuleNotFoundError: no torch"}
