from __future__ import annotations

import json

import pytest

from resnet50.cli import installed
from resnet50.profiling import training


@pytest.mark.slow
def test_training_is_measured_beside_keras_applications(command, numbers, monkeypatch):
    monkeypatch.delitem(training.CONTENDERS, "keras.applications bfloat16")
    status, out, err = command("bench", "--image-size", 32, "--batch-size", 2, "--rounds", 1, "--json")
    assert (status, err) == (0, "")
    printed = json.loads(out)
    heading = printed.pop("what")
    assert "train" in heading
    assert numbers(heading) == ["32", "32", "2"]
    assert list(printed) == ["ours", "keras.applications float32"]
    assert all(figures["images_per_second"]["median"] > 0 and figures["peak_mib"] > 100 for figures in printed.values())


@pytest.mark.slow
def test_a_model_is_measured_beside_keras_applications(command, numbers, trained):
    status, out, err = command("bench", trained, "--batch-size", 3, "--rounds", 1)
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert "predict" in lines[0]
    assert numbers(lines[0]) == ["32", "32", "3", "1"]
    assert "/s" in lines[1]
    assert "p99" in lines[1]
    assert lines[2].split()[:2] == ["keras.applications", "float32"]
    assert lines[2].split()[3] == "1.00"
    assert lines[3].split()[0] == str(trained)
    assert len(lines[3].split()) == 6


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (("--image-size", 0), ("--image-size", 1, 0)),
        (("--batch-size", 0), ("--batch-size", 1, 0)),
        (("--rounds", 0), ("--rounds", 1, 0)),
        (("x.keras", "--image-size", 32), ("--image-size",)),
        (("x.keras",), ("x.keras",)),
    ],
)
def test_what_cannot_be_measured_is_refused(refused, words, values):
    refused(("bench", *words), *values)


@pytest.mark.parametrize("models", [(), ("x.keras",)])
def test_without_keras_nothing_is_measured(refused, monkeypatch, models):
    monkeypatch.setattr(installed, "find_spec", lambda package: None)
    refused(("bench", *models), "keras", "pip install .")
