"""How fast ``resnet50 serve`` answers 1, 8 and 64 clients, beside LitServe, MLServer and the usual FastAPI handler.

Each contender is started, asked by that many clients at once that each wait for an answer before they ask again, and
stopped; then comes the next one. Several rounds spread over whatever else the machine does: ``others`` is the share of
all processors that other processes used meanwhile. ``start_seconds`` is the time until the first answer, ``memory_mib``
that of all processes of a server under the load of 64 clients, what they share counted once. ``loop`` calls the same
model for one image after the other, without HTTP.

Clients send JPEG files of some 60 kB, to MLServer in base64 and to others as they are or as forms, whatever the server
takes. The classifier is random, at 224 pixels: ``serving.py --write MODEL`` writes it. The handler serves
keras.applications.ResNet50 with random weights.

Run, after ``pip install 'resnet50[serve]'`` and with environments for the others, which have the packages of the small
installation and ``litserve python-multipart``, or ``mlserver 'uvloop<0.22'`` (1.7.1 does not start with later ones):
``python benchmarks/serving.py MODEL --litserve PYTHON --mlserver PYTHON``; adds a session to
``benchmarks/results/serving.json``.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from fine_tuning import busy_seconds
from serving_clients import ask, for_seconds, form, http_request, memory_mib, photos, processor_seconds
from sessions import Session

CLIENTS = (1, 8, 64)
PHOTOS = 32
START_SECONDS = 180
LOOP = "called in a loop, without HTTP"
HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "serving.json"


@dataclass(frozen=True)
class Contender:
    """A server, and how it is asked.

    Attributes:
        command: Starts it, with the port in place of ``PORT``.
        requests: What clients send.
        environment: Its variables, besides those of this process, with the port in place of ``PORT``.
    """

    command: Sequence[str]
    requests: Sequence[bytes]
    environment: Mapping[str, str] = field(default_factory=dict)


def contenders(options: argparse.Namespace, folder: Path) -> dict[str, Contender]:
    """Return the servers by name, those of other environments only where these are named."""
    images = photos(PHOTOS)
    plain = [http_request("/predict", image, "image/jpeg") for image in images]
    forms = [http_request("/predict", *form(image, "image")) for image in images]
    ours = [sys.executable, "-m", "resnet50", "serve", options.model, "--port", "PORT", "--replicas"]
    found = {
        "resnet50 serve, 1 replica": Contender([*ours, "1"], plain),
        "resnet50 serve, 2 replicas": Contender([*ours, "2"], plain),
    }
    if options.litserve:
        found["LitServe"] = Contender([options.litserve, "serving_litserve.py", options.model, "PORT"], forms)
    if options.mlserver:
        tensors = [http_request("/v2/models/model/infer", tensor(image), "application/json") for image in images]
        start = [options.mlserver, "-c", "from mlserver.cli import main; main()", "start", str(folder)]
        found["MLServer"] = Contender(start, tensors, write_settings(folder, options.model))
    handler = ["-m", "uvicorn", "serving_keras:app", "--log-level", "warning", "--port", "PORT"]
    found["FastAPI and keras.applications"] = Contender([sys.executable, *handler], forms)
    return found


def write_settings(folder: Path, model: str) -> dict[str, str]:
    """Write MLServer's description of the model, and return its other settings."""
    described = {"name": "model", "implementation": "serving_mlserver.ResNet", "parameters": {"uri": model}}
    batches = {"max_batch_size": 16, "max_batch_time": 0.005}
    folder.joinpath("model-settings.json").write_text(json.dumps(described | batches))
    ports = {"HTTP_PORT": "PORT", "GRPC_PORT": str(free_port()), "METRICS_PORT": str(free_port())}
    own = {"METRICS_DIR": str(folder), "ENVIRONMENTS_DIR": str(folder)}  # else it writes into the current folder
    settings = {"HOST": "127.0.0.1", "PARALLEL_WORKERS": "1", "DEBUG": "false", **ports, **own}
    return {f"MLSERVER_{name}": value for name, value in settings.items()}


def tensor(image: bytes) -> bytes:
    """Return an image as a request of the Open Inference Protocol, as MLServer reads it."""
    data = {"name": "image", "datatype": "BYTES", "shape": [1, 1], "data": [base64.b64encode(image).decode()]}
    return json.dumps({"inputs": [{**data, "parameters": {"content_type": "base64"}}]}).encode()


def measure(contender: Contender, seconds: float) -> dict[str, Any]:
    """Start a server, ask it with every number of clients, and stop it."""
    port = free_port()
    began, busy, own = time.perf_counter(), busy_seconds(), time.process_time()
    command = [word.replace("PORT", str(port)) for word in contender.command]
    environment = {name: value.replace("PORT", str(port)) for name, value in contender.environment.items()}
    with started(command, environment) as server:
        try:
            wait_for(port, contender.requests[0], server)
            measured: dict[str, Any] = {"start_seconds": time.perf_counter() - began, "clients": {}}
            ask(port, contender.requests, clients=16, until=for_seconds(min(seconds, 2)))
            for clients in CLIENTS:
                answers = ask(port, contender.requests, clients=clients, until=for_seconds(seconds))
                measured["clients"][str(clients)] = answers.summary()
            measured["memory_mib"] = memory_mib(server.pid)
            used = processor_seconds(server.pid) + time.process_time() - own
            measured["others"] = share_of_others(busy, used, time.perf_counter() - began)
        finally:
            stop(server)
    return measured


def measure_loop(model: str, seconds: float) -> dict[str, Any]:
    """Call the classifier for one image after the other in a process of its own."""
    began, busy, own = time.perf_counter(), busy_seconds(), time.process_time()
    command = [sys.executable, "serving_loop.py", model, str(seconds)]
    with started(command, {}, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        start_seconds = time.perf_counter() - began
        clients = {"1": json.loads(process.stdout.readline())}
        memory, used = memory_mib(process.pid), processor_seconds(process.pid) + time.process_time() - own
        others = share_of_others(busy, used, time.perf_counter() - began)
        process.stdin.close()
    return {"start_seconds": start_seconds, "clients": clients, "memory_mib": memory, "others": others}


def started(command: Sequence[str], environment: Mapping[str, str], **options: Any) -> subprocess.Popen[bytes]:
    """Start a process, quietly, in a group of its own."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "stdin": subprocess.PIPE}
    variables = os.environ | {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONPATH": f"{HERE.parent}{os.pathsep}{HERE}",
        **environment,
    }
    return subprocess.Popen(command, cwd=HERE, env=variables, start_new_session=True, **(quiet | options))


def stop(server: subprocess.Popen[bytes]) -> None:
    """Ask a server to stop, and end what is left of it after a while."""
    server.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        server.wait(60)
    with suppress(ProcessLookupError):  # what it has left behind
        os.killpg(server.pid, signal.SIGKILL)


def share_of_others(busy: float, used: float, seconds: float) -> float:
    """Return the share of all processors that other processes used in the last seconds."""
    return round(max(busy_seconds() - busy - used, 0) / seconds / (os.cpu_count() or 1), 3)


def wait_for(port: int, request: bytes, server: subprocess.Popen[bytes]) -> None:
    """Wait until a server has answered a request."""
    end = time.perf_counter() + START_SECONDS
    while time.perf_counter() < end and server.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=START_SECONDS) as connection:
                connection.sendall(request)
                answer = http.client.HTTPResponse(connection)
                answer.begin()
                answer.read()
                if answer.status == 200:
                    return
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(0.05)
    raise RuntimeError(f"{' '.join(server.args[:6])}: expected an answer within {START_SECONDS} s, got none.")


def free_port() -> int:
    """Return a port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def summarize(rounds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the median of each number over the rounds, and the smallest and largest rate."""
    clients = {}
    for number in rounds[0]["clients"]:
        each = [measured["clients"][number] for measured in rounds]
        rates = [one["requests_per_second"] for one in each]
        clients[number] = {
            "requests_per_second": {"median": median(rates), "min": min(rates), "max": max(rates)},
            **{key: median(one[key] for one in each) for key in ("p50_ms", "p99_ms")},
            "failed": sum(sum(one.get("failed", {}).values()) for one in each),
        }
    numbers = ("start_seconds", "memory_mib", "others")
    return {**{key: median(measured[key] for measured in rounds) for key in numbers}, "clients": clients}


def write_model(path: str) -> None:
    """Write a classifier of a thousand classes at 224 pixels with random weights."""
    from resnet50.build import build_resnet50
    from resnet50.inference.classifier import Classifier

    model = build_resnet50(1000, input_shape=(224, 224, 3))
    Classifier(model, tuple(f"class {k}" for k in range(1000)), "random", "0" * 64, {}, {}).save(path)


def versions_of(python: str, *packages: str) -> dict[str, str]:
    """Return the versions of packages in an environment."""
    script = "import json, sys; from importlib.metadata import version; "
    script += "print(json.dumps({name: version(name) for name in sys.argv[1:]}))"
    return json.loads(subprocess.run([python, "-c", script, *packages], capture_output=True, check=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="classifier at 224 pixels")
    parser.add_argument("--write", action="store_true", help="write a random one to MODEL, and measure nothing")
    parser.add_argument("--litserve", metavar="PYTHON", help="of an environment with LitServe")
    parser.add_argument("--mlserver", metavar="PYTHON", help="of an environment with MLServer")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6.0, help="for each number of clients")
    options = parser.parse_args()
    options.model = str(Path(options.model).resolve())
    if options.write:
        write_model(options.model)
        return
    session = Session(
        RESULTS,
        what="ResNet-50 at 224 pixels over HTTP: requests a second and latency with 1, 8 and 64 clients",
        command=f"python benchmarks/serving.py MODEL --rounds {options.rounds} --seconds {options.seconds:g}",
    )
    rounds: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        servers = contenders(options, Path(folder))
        for number in range(options.rounds):
            for name in (*servers, LOOP):
                measured = (
                    measure_loop(options.model, options.seconds)
                    if name == LOOP
                    else measure(servers[name], options.seconds)
                )
                rounds.setdefault(name, []).append(measured)
                print(number + 1, name, json.dumps(measured), flush=True)
    runtimes = {name: version(name) for name in ("ray", "fastapi", "uvicorn", "onnxruntime")}
    for python, name in ((options.litserve, "litserve"), (options.mlserver, "mlserver")):
        runtimes |= versions_of(python, name) if python else {}
    session.write({"runtimes": runtimes, "servers": {name: summarize(each) for name, each in rounds.items()}})


if __name__ == "__main__":
    main()
