from __future__ import annotations

import signal
import socket
import subprocess
import sys
from importlib.util import find_spec

import pytest

from factories import AS_IN_A_TERMINAL, classifier, posix, raises, tiny_model
from resnet50.serving import server
from resnet50.serving.server import INSTALL, serve


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("served") / "pets.keras"
    classifier(tiny_model(size=(40, 32))).save(path)
    return path


@pytest.mark.parametrize(
    ("option", "value"), [("replicas", 0), ("time_limit", 0.5), ("time_limit", float("nan")), ("max_body", 0)]
)
def test_numbers_are_checked_first(option, value):
    with raises(ValueError, option, value, 1):
        serve("nothing", **{option: value})


@pytest.mark.parametrize("port", [-1, 65_536])
def test_a_port_that_is_none(port):
    with raises(ValueError, "port", 65535, port):
        serve("nothing", port=port)


def test_a_model_that_is_not_there(tmp_path):
    with raises(FileNotFoundError, tmp_path / "none"):
        serve(tmp_path / "none")


@pytest.mark.parametrize("missing", ["ray", "fastapi", "python_multipart", "uvicorn"])
def test_a_package_that_is_not_installed(saved, monkeypatch, missing):
    monkeypatch.setattr(server, "find_spec", lambda name: None if name == missing else find_spec("json"))
    with raises(ImportError, missing, INSTALL):
        serve(saved)


def test_an_address_that_is_taken_or_unknown():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with raises(OSError, f"127.0.0.1:{port}"):
            server._bind("127.0.0.1", port)
    for host, port in (("no.such.host.invalid", 80), ("240.0.0.1", 0)):
        with raises(OSError, f"{host}:{port}"):
            server._bind(host, port)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", pytest.param("::1", marks=posix)])
def test_the_url_is_where_it_listens(host):
    try:
        listener = server._bind(host, 0)
    except OSError:
        pytest.skip(f"this machine has no {host}")
    with listener:
        port = listener.getsockname()[1]
        assert server._url(listener) in (f"http://127.0.0.1:{port}", f"http://[::1]:{port}")


STOPPED = """
import os, signal, sys, threading
from contextlib import contextmanager
import requests
from resnet50.serving import server
from resnet50.serving.served_model import ServedModel, model_name

class Running:
    async def classify(self, images, shares): return ["asked"] * len(images)
    async def ready(self): return True
    def reader(self, *_, **__): return None

@contextmanager
def ray(address): yield [2]

@contextmanager
def running(model, *_, **__):
    fields = {"class_names": ("a",), "image_size": (4, 4), "precision": "fp32", "dataset": "", "fingerprint": ""}
    fields |= {"metrics": {}, "fit": {}}
    for name in sys.argv[3:]:  # signals during the start
        os.kill(os.getpid(), getattr(signal, name))
    try:
        yield ServedModel(name=model_name(model), **fields), Running()
    finally:
        print("stopped")

def started(url):
    def use():
        print(requests.post(f"{url}/predict", b"x").json()["error"], requests.get(f"{url}/metadata").json()["name"])
        os.kill(os.getpid(), getattr(signal, sys.argv[2]))
    threading.Thread(target=use).start()

server.connected, server._running, server._check_packages = ray, running, lambda: None
server.serve(sys.argv[1], port=0, started=started)
print("returned")
"""


@posix
@pytest.mark.slow
@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT"])
def test_it_returns_when_it_is_asked_to_stop(saved, number):
    pytest.importorskip("fastapi", reason="the interface is made with FastAPI")
    done = subprocess.run(
        [sys.executable, "-c", STOPPED, saved, number], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.stdout.splitlines() == ["asked pets", "stopped", "returned"], done.stderr
    assert done.returncode == 0


@posix
@pytest.mark.slow
@pytest.mark.parametrize(("name", "status"), [("SIGTERM", 128 + signal.SIGTERM), ("SIGINT", -signal.SIGINT)])
def test_a_signal_during_the_start_lets_it_clean_up(saved, name, status):
    pytest.importorskip("fastapi", reason="the interface is made with FastAPI")
    command = [sys.executable, "-c", STOPPED, saved, "SIGTERM", name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert (done.stdout.splitlines(), done.returncode) == (["stopped"], status), done.stderr


FAILED = STOPPED.replace(
    "def ray(address): yield [2]",
    """def ray(address):
    for name in sys.argv[3:]:
        os.kill(os.getpid(), getattr(signal, name))
    raise OSError("Ray did not start")
    yield""",
)


@posix
@pytest.mark.slow
def test_a_start_that_fails_after_a_signal_ends_as_the_signal_asks(saved):
    pytest.importorskip("fastapi", reason="the interface is made with FastAPI")
    command = [sys.executable, "-c", FAILED, saved, "SIGTERM"]
    failed, stopped = (
        subprocess.run([*command, *names], capture_output=True, text=True, timeout=100, check=False)
        for names in ((), ("SIGTERM",))
    )
    assert (failed.returncode, failed.stderr.splitlines()[-1]) == (1, "OSError: Ray did not start")
    assert (stopped.returncode, stopped.stdout, stopped.stderr) == (128 + signal.SIGTERM, "", "")


SECOND = """
from resnet50.serving.signals import stop_signals

with stop_signals() as signals:
    signal.raise_signal(signal.SIGTERM)
    print(signals.received == signal.SIGTERM)
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        print("interrupted")
    try:
        signals.raise_received()
    except SystemExit as error:
        print(error.code)
print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""


def test_the_second_signal_takes_effect_at_once():
    done = subprocess.run(
        [sys.executable, "-c", AS_IN_A_TERMINAL + SECOND], capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["True", "interrupted", "143", "True"], done.stderr
