from __future__ import annotations

import os
import socket
import sys
from importlib.util import find_spec

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


@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: pip install 'resnet50[serve]'")
def test_a_process_that_has_started_ray(monkeypatch):
    import ray

    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    with raises(ValueError, "ray.shutdown()"), connected(None):
        pass
