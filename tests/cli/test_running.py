from __future__ import annotations

import argparse
import json
import os
import sys

import h5py
import pytest

from factories import raises, tiny_recipe
from resnet50.cli.running import finish, is_alone, join
from resnet50.data.share import Share
from resnet50.training.run import RunDirectory


@pytest.fixture
def folder(tmp_path):
    """A run directory with the record of a run of four epochs."""
    folder = RunDirectory(tmp_path / "a run")
    folder.checkpoint.parent.mkdir(parents=True)
    folder.recipe.write_text(tiny_recipe().to_json())
    record = {"backend": "b", "versions": {}, "machine": {}, "commit": None, "precision": "float32", "weights": None}
    record["data"] = {"name": "pets", "fingerprints": {}, "source": None}
    folder.environment.write_text(json.dumps(record))
    return folder


def test_of_several_processes_the_first_prints(monkeypatch):
    monkeypatch.setattr(sys, "stdout", sys.stdout)  # as it was, after the test
    options = argparse.Namespace(hosts="auto", out="run", resume=None)
    printed = {}
    for rank in range(2):
        monkeypatch.setattr("resnet50.training.devices.join_cluster", lambda hosts, rank=rank: Share(rank, 2, 4))
        assert join(options).rank == rank
        printed[rank] = sys.stdout.name != os.devnull
    sys.stdout.close()
    assert printed == {0: True, 1: False}


@pytest.mark.parametrize("hosts", ["auto", "10.0.0.1:1234,2,0", None])
def test_several_processes_need_the_name_of_one_folder(hosts, monkeypatch):
    options = argparse.Namespace(hosts=hosts, out="run")
    monkeypatch.setattr("resnet50.training.launchers.find_launcher", lambda environment: "SLURM")
    assert not is_alone(options)
    options.out = None
    with raises(ValueError, "--out"):
        is_alone(options)
    for hosts in ("none", "10.0.0.1:1234,1,0"):
        options.hosts = hosts
        assert is_alone(options)


def stop(folder, capsys, interruption):
    def train():
        raise interruption

    with pytest.raises(type(interruption)):
        finish(folder, train)
    return capsys.readouterr().err


@pytest.mark.parametrize("interruption", [KeyboardInterrupt(), SystemExit(143)])
def test_an_interrupted_run_says_what_is_stored_and_how_to_resume(interruption, folder, capsys, numbers):
    with h5py.File(folder.checkpoint, "w") as file:
        position = {"phase": 0, "began": 0, "epoch": 3}
        file["state"] = json.dumps({**position, "stopped": False, "callbacks": [], "attributes": []})
    error = stop(folder, capsys, interruption)
    assert f"resnet50 train --resume '{folder.path}'" in error
    assert "over" not in error
    assert numbers(error) == ["3", "4"]


def test_a_run_without_a_state_starts_over(folder, capsys, numbers):
    error = stop(folder, capsys, KeyboardInterrupt())
    assert f"start over: resnet50 train --resume '{folder.path}'" in error
    assert numbers(error) == []


def test_a_run_that_does_not_exist_yet_is_not_resumed(tmp_path, capsys):
    assert "--resume" not in stop(RunDirectory(tmp_path / "run"), capsys, KeyboardInterrupt())
