from __future__ import annotations

import argparse
import os
import sys

import pytest

from factories import raises
from resnet50.cli.hosts import is_alone, join
from resnet50.data.share import Share


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
