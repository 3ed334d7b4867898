"""Replicas in Ray Serve, each test through the command. They need Ray, and Linux to find its processes."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import requests
from PIL import Image

from factories import classifier, noise, tiny_model, with_thresholds
from processes import below, processes
from resnet50.inference.classifier import Classifier

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: pip install 'resnet50[serve]'"),
    pytest.mark.skipif(sys.platform != "linux", reason="it looks for processes in /proc"),
]


class Service:
    """A running command, and its URL."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process, self.url = process, url

    def predict(self, image: bytes) -> tuple[int, object]:
        answer = requests.post(f"{self.url}/predict", image, timeout=300)
        return answer.status_code, answer.json().get("top")


@contextmanager
def service(model: Path, *words: object, **environment: str) -> Iterator[Service]:
    command = [sys.executable, "-m", "resnet50", "serve", str(model), "--port", "0", *map(str, words)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | {"COLUMNS": "1000"} | environment
    ) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://[\d.]+:\d+", process.stdout.readline())
            assert found, "it did not start"
            yield Service(process, found[0])
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(120)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("served") / "pets.keras"
    with_thresholds(classifier(tiny_model(size=(40, 32)))).save(path)
    return path


@pytest.fixture(scope="module")
def images() -> list[bytes]:
    def png(seed: int) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(noise(50, 60, 3, seed=seed)).save(buffer, "PNG")
        return buffer.getvalue()

    return [png(seed) for seed in range(5)]


@pytest.fixture(scope="module")
def answers(model, images) -> list[list[list[object]]]:
    """What the classifier says of the images in this process."""
    opened = Classifier.load(model)
    return [[list(each) for each in opened.predict(image).top] for image in images]


def same(found: object, expected: object) -> bool:
    """Whether two answers name the same classes with the same probabilities, up to rounding in another batch."""
    assert isinstance(found, list)
    assert isinstance(expected, list)
    names, shares = zip(*found, strict=True)
    wanted, probabilities = zip(*expected, strict=True)
    return names == wanted and bool(np.allclose(shares, probabilities, atol=1e-5))


class Load:
    """Clients that send one image after the other until they are stopped, and remember what came back."""

    def __init__(self, service: Service, images: list[bytes], *, clients: int = 8) -> None:
        self.failures: list[object] = []
        self.found: list[tuple[int, int, object]] = []
        self._stop = threading.Event()
        self._clients = [threading.Thread(target=self._run, args=(service, images, k)) for k in range(clients)]

    def _run(self, service: Service, images: list[bytes], number: int) -> None:
        while not self._stop.is_set():
            number = (number + 1) % len(images)
            try:
                self.found.append((number, *service.predict(images[number])))
            except requests.RequestException as error:
                self.failures.append(error)
                return

    def __enter__(self) -> Load:
        for client in self._clients:
            client.start()
        return self

    def wait_for(self, more: int) -> None:
        wanted, began = len(self.found) + more, time.monotonic()
        while len(self.found) < wanted and not self.failures:
            assert time.monotonic() - began < 120
            time.sleep(0.05)

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for client in self._clients:
            client.join(120)

    def check(self, answers: list[list[list[object]]]) -> None:
        assert self.failures == []
        assert {status for _, status, _ in self.found} == {200}
        assert all(same(top, answers[number]) for number, _, top in self.found)


@pytest.fixture(scope="module")
def running(model) -> Iterator[Service]:
    with service(model, "--replicas", 2) as started:
        yield started


def test_answers_are_those_of_the_classifier(running, images, answers):
    for image, answer in zip(images, answers, strict=True):
        status, top = running.predict(image)
        assert status == 200
        assert same(top, answer)


def test_sets_and_refusals_are_those_of_the_classifier(running, model, images):
    opened, url = Classifier.load(model), f"{running.url}/predict"
    expected = opened.predict(images[0], coverage=0.4)
    found = requests.post(f"{url}?coverage=0.4", images[0], timeout=300).json()
    assert found["set"] == list(expected.prediction_set)
    assert found["refused"] is expected.refused is False
    assert found["distance"] == pytest.approx(expected.distance, abs=1e-5)
    assert requests.post(url, images[0], timeout=300).json()["set"] == list(opened.predict(images[0]).prediction_set)
    refused = requests.post(f"{url}?coverage=0.999", images[0], timeout=300)
    assert (refused.status_code, "999" in refused.json()["error"]) == (400, True)


def test_tensors_and_images_give_the_same(running, images, answers):
    data = [base64.b64encode(image).decode() for image in images]
    tensor = {"name": "image", "datatype": "BYTES", "shape": [len(data)], "data": data}
    answer = requests.post(f"{running.url}/v2/models/pets/infer", json.dumps({"inputs": [tensor]}), timeout=300)
    (output,) = answer.json()["outputs"]
    rows = np.reshape(output["data"], output["shape"])
    assert [f"{'abc'[row.argmax()]} {row.max():.4f}" for row in rows] == [
        f"{top[0][0]} {top[0][1]:.4f}" for top in answers
    ]


def test_long_tensors_are_read_and_refused_as_short_ones_are(running):
    pixels = noise(40, 32, 3, seed=3)
    tensor = {"name": "image", "datatype": "UINT8", "shape": [1, 40, 32, 3], "data": pixels.ravel().tolist()}
    short = json.dumps({"inputs": [tensor]})
    wrong = json.dumps({"inputs": [tensor | {"name": "input"}]})
    found = []
    for body in (short, short + " " * 300_000, wrong, wrong + " " * 300_000):
        answer = requests.post(f"{running.url}/v2/models/pets/infer", body, timeout=300)
        found.append((answer.status_code, answer.json()))
    assert [status for status, _ in found] == [200, 200, 400, 400]
    assert np.allclose(*(answer["outputs"][0]["data"] for _, answer in found[:2]), atol=1e-5)
    assert found[2] == found[3]


def test_nothing_is_lost_when_a_replica_is_killed(running, images, answers):
    with Load(running, images) as load:
        for _ in range(2):
            load.wait_for(20)
            before = below(running.process.pid, "ray::ServeReplica")
            assert len(before) == 2
            os.kill(before[0], signal.SIGKILL)
            load.wait_for(20)
            began = time.monotonic()
            while len(after := below(running.process.pid, "ray::ServeReplica")) < 2 or set(after) == set(before):
                assert time.monotonic() - began < 120
                time.sleep(0.2)
    load.check(answers)


def test_it_recovers_when_all_replicas_are_killed(running, images, answers):
    for process in below(running.process.pid, "ray::ServeReplica"):
        os.kill(process, signal.SIGKILL)
    began, status = time.monotonic(), 0
    while status != 200:
        assert time.monotonic() - began < 120
        status, top = running.predict(images[0])
        assert status in (200, 503, 504)
    assert same(top, answers[0])
    assert requests.get(f"{running.url}/health", timeout=300).status_code == 200


def test_ray_wants_a_token_and_reports_nothing(running):
    (replica, *_) = below(running.process.pid, "ray::ServeReplica")
    environment = Path(f"/proc/{replica}/environ").read_bytes()
    assert b"RAY_AUTH_MODE=token" in environment
    assert b"RAY_USAGE_STATS_ENABLED=0" in environment


def test_it_stops_when_requests_are_answered_and_leaves_nothing(model, images, answers):
    with service(model) as started:
        started_processes = below(started.process.pid, "")
        commands = [Path(f"/proc/{process}/cmdline").read_text() for process in started_processes]
        (folder,) = {found[0] for command in commands if (found := re.search(r"/tmp/resnet50-\w+", command))}  # noqa: S108
        assert Path(folder).stat().st_mode & 0o777 == 0o700
        with Load(started, images) as load:
            load.wait_for(20)
            started.process.send_signal(signal.SIGTERM)
            started.process.wait(120)
        assert started.process.stdout is not None
        assert started.process.stdout.read().startswith("Stopped.")
    assert started.process.returncode == 0
    refused = [error for error in load.failures if not isinstance(error, requests.ConnectionError)]
    assert refused == []  # new connections are refused, and that is all
    assert {status for _, status, _ in load.found} == {200}
    assert all(same(top, answers[number]) for number, _, top in load.found)
    assert [process for process in started_processes if process in processes("ray::")] == []
    assert not Path(folder).exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_it_starts_leaves_nothing(model, tmp_path, number):
    """It comes when the first process of Ray runs."""
    command = [sys.executable, "-m", "resnet50", "serve", str(model), "--port", "0"]
    folders = set(Path("/tmp").glob("resnet50-*"))  # noqa: S108
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | {"TMPDIR": str(tmp_path)}
    ) as process:
        began = time.monotonic()
        while not (started := below(process.pid, "ray::ServeController")):
            assert process.poll() is None
            assert time.monotonic() - began < 120
            time.sleep(0.05)
        started = below(process.pid, "")
        process.send_signal(number)
        process.wait(200)
    assert process.returncode in (130, 143)
    assert [each for each in started if each in processes("ray::")] == []
    assert set(Path("/tmp").glob("resnet50-*")) <= folders  # noqa: S108


def test_a_model_that_cannot_be_opened_is_one_line(tmp_path):
    damaged = tmp_path / "pets.keras"
    damaged.write_bytes(b"PK\x03\x04" * 100)
    command = [sys.executable, "-m", "resnet50", "serve", str(damaged), "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"resnet50 serve: {damaged}: ")
    assert done.stderr.count("\n") == 1


def kill(ancestor: int) -> None:
    """Kill a process and all that it has started, as when its machine is lost."""
    for process in below(ancestor, ""):
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


@contextmanager
def node(*words: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A node of a Ray cluster with one processor."""
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--num-cpus", "1"]
    command += ["--object-store-memory", "100000000", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | environment) as process:
        try:
            yield process
        finally:
            kill(process.pid)


def read_until(pattern: str, process: subprocess.Popen[str]) -> str:
    """The first text that fits in what a process prints."""
    assert process.stdout is not None
    found = (re.search(pattern, line) for line in process.stdout)
    return next(match[0] for match in found if match)


def test_two_nodes_share_the_work_and_one_may_be_lost(model, images, answers):
    """Two nodes of one processor each, on this machine; the second is killed with all that runs on it."""
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0123456789abcdef" * 4, "RAY_USAGE_STATS_ENABLED": "0"}
    options = ["--head", "--port", "0", "--include-dashboard", "false"]
    with tempfile.TemporaryDirectory(dir="/tmp") as folder, ExitStack() as stack:
        first = stack.enter_context(node(*options, "--temp-dir", folder, **token))
        address = read_until(r"\d+(\.\d+){3}:\d+", first)
        second = stack.enter_context(node("--address", address, **token))
        assert read_until("runtime started", second)
        started = stack.enter_context(service(model, "--replicas", 2, "--address", address, **token))
        assert [len(below(each.pid, "ray::ServeReplica")) for each in (first, second)] == [1, 1]
        with Load(started, images) as load:
            load.wait_for(50)
            kill(second.pid)
            load.wait_for(200)
        load.check(answers)
