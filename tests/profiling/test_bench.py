from __future__ import annotations

import pytest

from factories import classifier, raises, tiny_model
from resnet50.profiling import bench as benchmark
from resnet50.profiling.bench import PEER, bench
from resnet50.profiling.rounds import Measurement


@pytest.fixture
def asked(monkeypatch):
    """The commands and rounds that would be measured."""
    seen = {}

    def measure(commands, *, rounds, progress):
        seen.update(commands=commands, rounds=rounds)
        return {name: Measurement(name, {"images_per_second": (1.0,)}, 1.0) for name in commands}

    monkeypatch.setattr(benchmark, "run_rounds", measure)
    return seen


def test_training_is_measured_without_models(asked):
    result = bench(rounds=2, batch_size=5)
    assert result.measurements[PEER].median("images_per_second") == 1
    assert "64 x 64" in result.heading
    assert "5" in result.heading
    assert asked["rounds"] == 2
    assert asked["commands"]["ours"][-3:] == ["ours", "64", "5"]


def test_models_are_measured_at_their_own_size(asked, tmp_path):
    path = tmp_path / "a.keras"
    classifier(tiny_model(size=(32, 32))).save(path)
    assert list(bench([path]).measurements) == [PEER, str(path)]
    assert asked["commands"][PEER][-3:] == ["applications", "32", "8"]
    assert asked["commands"][str(path)][-2:] == [str(path), "8"]


@pytest.mark.slow
def test_models_of_several_sizes_are_refused(tmp_path):
    paths = [tmp_path / "a.keras", tmp_path / "b.keras"]
    for path, size in zip(paths, (32, 40), strict=True):
        classifier(tiny_model(size=(size, size))).save(path)
    with raises(ValueError, *paths, 32, 40):
        bench(paths)


@pytest.mark.parametrize("name", ["image_size", "batch_size", "rounds"])
def test_numbers_below_one_are_refused(name):
    with raises(ValueError, name, 1, 0):
        bench(**{name: 0})


def test_models_have_their_own_image_size():
    with raises(ValueError, "image_size", 32):
        bench(["a.keras"], image_size=32)


def test_a_model_that_is_not_there_is_refused(tmp_path):
    with raises(FileNotFoundError, tmp_path / "a.keras"):
        bench([tmp_path / "a.keras"])
