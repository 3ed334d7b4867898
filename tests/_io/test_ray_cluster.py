from __future__ import annotations

import os
import signal
import socket
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest

from factories import raises
from resnet50._io import ray_cluster
from resnet50._io.ray_cluster import connected, threads_each


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Variables that are forgotten after each test."""
    monkeypatch.setattr(os, "environ", {name: value for name, value in os.environ.items() if name[:4] != "RAY_"})


@pytest.mark.parametrize(
    ("processors", "replicas", "each"),
    [
        ([2], 1, 2),
        ([2], 2, 1),
        ([2], 4, 0.5),
        ([8], 3, 2),
        ([2, 2], 2, 2),
        ([2, 2], 3, 1),
        ([4, 2], 2, 2),
        ([16, 4], 5, 4),
        ([1, 0], 1, 1),
    ],
)
def test_replicas_share_the_processors(processors, replicas, each):
    assert threads_each(processors, replicas) == each


@pytest.mark.parametrize("address", ["", "head", "head:", ":6379", "ray://head:x"])
def test_an_address_that_is_none(address):
    with raises(ValueError, "HOST:PORT"), connected(address):
        pass


def test_a_cluster_that_is_not_there():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    with raises(OSError, address), connected(address):
        pass
    with raises(OSError, "no.such.host.invalid:6379"), connected("no.such.host.invalid:6379"):
        pass


def test_ray_reports_nothing_and_wants_a_token_of_this_process(monkeypatch):
    names = ("RAY_USAGE_STATS_ENABLED", "RAY_worker_niceness", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN")
    monkeypatch.delitem(sys.modules, "ray", raising=False)
    ray_cluster._set_variables(None)
    statistics, niceness, mode, token = (os.environ[name] for name in names)
    assert (statistics, niceness, mode, len(token)) == ("0", "0", "token", 64)
    os.environ.update(dict.fromkeys(names, "mine"))
    ray_cluster._set_variables(None)
    assert [os.environ[name] for name in names] == ["mine"] * 4


def test_a_cluster_has_a_token_of_its_own():
    ray_cluster._set_variables("head:6379")
    assert "RAY_AUTH_TOKEN" not in os.environ


class Node:
    """What Ray makes of a machine; it fails once it has started a process, as where the machine is busy."""

    def __init__(self, folder, ended, error):
        Path(folder).mkdir()
        Path(folder, "socket").touch()
        self.ended = ended
        self._start_processes(error)

    def _start_processes(self, error):
        raise error

    def kill_all_processes(self, **options):
        assert options["wait"]
        self.ended.append("ended")


@pytest.fixture
def failing(monkeypatch):
    """Let Ray's start raise an error; return what was asked of Ray and the folders of its starts."""
    calls, folders = [], []

    def fail(error):
        def init(*, _temp_dir, **_):
            folders.append(Path(_temp_dir).parent)
            Node(_temp_dir, calls, error)

        ray = SimpleNamespace(init=init, is_initialized=lambda: False, shutdown=lambda: calls.append("shutdown"))
        monkeypatch.setitem(sys.modules, "ray", ray)
        return calls, folders

    return fail


def test_a_start_that_fails_says_what_to_do_and_leaves_no_folder_and_no_process(failing):
    calls, folders = failing(RuntimeError("timed out\nduring startup"))
    with raises(OSError, "Ray", "timed out during startup", "busy", "start again"), connected(None):
        pass
    assert calls == ["ended", "shutdown"]
    assert [folder.exists() for folder in folders] == [False]


@pytest.mark.parametrize("error", [SystemExit(143), KeyboardInterrupt()], ids=repr)
def test_a_start_that_a_signal_ends_leaves_nothing_either(failing, error):
    calls, folders = failing(error)
    with pytest.raises(type(error)) as caught, connected(None):
        pass
    assert caught.value is error
    assert (calls, [folder.exists() for folder in folders]) == (["ended", "shutdown"], [False])


def test_a_folder_that_is_still_written_to_is_removed_later(tmp_path, monkeypatch):
    waited = []

    def removed(folder, *, ignore_errors):
        if len(waited) == 2 and folder.exists():
            folder.rmdir()

    monkeypatch.setattr(ray_cluster.shutil, "rmtree", removed)
    monkeypatch.setattr(ray_cluster.time, "sleep", waited.append)
    ray_cluster._remove(tmp_path)
    assert len(waited) == 2
    assert not tmp_path.exists()
    ray_cluster._remove(tmp_path)  # nothing is left to wait for
    assert len(waited) == 3


def test_ray_takes_no_signals_while_it_starts(monkeypatch):
    """It would end the process with the number of the signal as its status."""
    before = signal.getsignal(signal.SIGTERM)

    def init(**_):
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(number))

    ray = SimpleNamespace(init=init, is_initialized=lambda: False, shutdown=lambda: None, nodes=list)
    monkeypatch.setitem(sys.modules, "ray", ray)
    with connected(None) as processors:
        assert processors == []
        assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: pip install 'resnet50[serve]'")
def test_a_process_that_has_started_ray(monkeypatch):
    import ray

    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    with raises(ValueError, "ray.shutdown()"), connected(None):
        pass
