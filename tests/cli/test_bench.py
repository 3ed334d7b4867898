from __future__ import annotations

import json

import pytest

from factories import raises
from resnet50.benchmark import training
from resnet50.cli import bench


def test_training_is_measured_beside_keras_applications(command, numbers, monkeypatch):
    monkeypatch.delitem(training.CONTENDERS, "keras.applications bfloat16")
    status, out, err = command("bench", "--size", 32, "--batch", 2, "--turns", 1, "--json")
    assert (status, err) == (0, "")
    told = json.loads(out)
    what = told.pop("what")
    assert "train" in what
    assert numbers(what) == ["32", "32", "2"]
    assert list(told) == ["ours", "keras.applications float32"]
    assert all(one["images_per_second"]["median"] > 0 and one["peak_mib"] > 100 for one in told.values())


def test_a_model_is_measured_beside_keras_applications(command, numbers, trained):
    status, out, err = command("bench", trained, "--batch", 3, "--turns", 1)
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
        (("--size", 0), ("--size", 1, 0)),
        (("--batch", 0), ("--batch", 1, 0)),
        (("--turns", 0), ("turns", 1, 0)),
        (("x.keras", "--size", 32), ("--size",)),
        (("x.keras",), ("x.keras",)),
    ],
)
def test_what_cannot_be_measured_is_refused(refused, words, values):
    refused(("bench", *words), *values)


def test_models_of_several_sizes_are_refused(monkeypatch, tmp_path):
    sides = {"a.keras": (32, 32), "b.keras": (64, 64)}

    class Loaded:
        def __init__(self, path):
            self.side = sides[str(path)]

        load = classmethod(lambda cls, path: cls(path))

    monkeypatch.setattr("resnet50.classifier.Classifier", Loaded)
    with raises(ValueError, "a.keras", 32, "b.keras", 64):
        bench.common_side(["a.keras", "b.keras"])
