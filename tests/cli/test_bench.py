from __future__ import annotations

import json

import pytest

from resnet50.benchmark import training
from resnet50.cli import bench


def test_training_is_measured_beside_keras_applications(command, monkeypatch):
    monkeypatch.delitem(training.CONTENDERS, "keras.applications bfloat16")
    status, out, err = command("bench", "--size", 32, "--batch", 2, "--turns", 1, "--json")
    assert (status, err) == (0, "")
    told = json.loads(out)
    assert told.pop("what") == "training steps, 32 x 32 pixels, 2 in a batch"
    assert list(told) == ["ours", "keras.applications float32"]
    assert all(one["images_per_second"]["median"] > 0 and one["peak_mib"] > 100 for one in told.values())


def test_a_model_is_measured_beside_keras_applications(command, trained):
    status, out, err = command("bench", trained, "--batch", 3, "--turns", 1)
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("predicting, ")
    assert lines[0].endswith(" pixels, 3 in a batch; medians of 1 turns")
    assert "pictures/s" in lines[1]
    assert lines[1].split()[-2:] == ["p99,", "ms"]
    assert lines[2].split()[:2] == ["keras.applications", "float32"]
    assert lines[2].split()[3] == "1.00"
    assert lines[3].split()[0] == str(trained)
    assert len(lines[3].split()) == 6


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--size", 0), "--size must be at least 1, got 0."),
        (("--batch", 0), "--batch must be at least 1, got 0."),
        (("--turns", 0), "turns must be at least 1, got 0."),
        (("x.keras", "--size", 32), "--size is for training: models predict on pictures of their own size."),
        (("x.keras",), "x.keras: needed a classifier (.keras), found nothing there; train one first."),
    ],
)
def test_what_cannot_be_measured_is_refused(command, words, message):
    assert command("bench", *words) == (2, "", f"resnet50 bench: {message}\n")


def test_models_of_several_sizes_are_refused(monkeypatch, tmp_path):
    sides = {"a.keras": (32, 32), "b.keras": (64, 64)}

    class Loaded:
        def __init__(self, path):
            self.side = sides[str(path)]

        load = classmethod(lambda cls, path: cls(path))

    monkeypatch.setattr("resnet50.classifier.Classifier", Loaded)
    with pytest.raises(ValueError, match=r"^needed models of square pictures of one size, got a\.keras 32 x 32, b\."):
        bench.common_side(["a.keras", "b.keras"])
