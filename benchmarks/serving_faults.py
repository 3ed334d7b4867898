"""What ``resnet50 serve`` does under faults: damaged requests, killed replicas, too many clients, slow clients.

A tiny classifier is served by two replicas, and four things happen to it:

- ``mutated``: requests with damaged bodies (encoded images, forms, tensors in JSON) and requests that are damaged as a
  whole, by the damage that ``tests/fuzz`` does to files. Each must be answered with 200 or a status from 400 to 499, or
  its connection be closed where it is no HTTP; replicas must stay alive.
- ``killed``: replicas are killed by SIGKILL, one after the other, while clients ask. Every request must be answered.
- ``overload``: more clients than there is room for. The answers are 200, 503 or, past the time limit, 504.
- ``slow``: connections that send a byte now and then, while another client asks.

Run, after ``pip install 'resnet50[serve,test]'``: ``PYTHONPATH=tests python benchmarks/serving_faults.py``; writes
``benchmarks/results/serving-faults.json``. Exits with 1 if one of these does not hold.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from serving_clients import ask, for_seconds, form, http_request, memory_mib, tree
from sessions import Session

from factories import classifier, noise, tiny_model
from fuzz.mutations import mutate

RESULTS = Path(__file__).parent / "results" / "serving-faults.json"
SIDE = 40
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
WHOLE = "whole request"
KILLS = 6
OVERLOAD_CLIENTS = 400
SLOW_CLIENTS = 300


def bodies() -> dict[str, tuple[str, bytes, str]]:
    """Return intact requests by name: their path, body and type."""
    pixels = np.kron(noise(6, 8, 3), np.ones((8, 8, 1), np.uint8))
    files = {}
    for name in FORMATS:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, name)
        files[name] = buffer.getvalue()
    image = pixels[:SIDE, :SIDE].tolist()
    encoded = base64.b64encode(files["JPEG"]).decode()
    tensors = {
        "UINT8": {"shape": [1, SIDE, SIDE, 3], "data": [image]},
        "FP32": {"shape": [1, SIDE, SIDE, 3], "data": np.ravel(image).astype(float).tolist()},
        "BYTES": {"shape": [2], "data": [encoded, encoded]},
    }
    return {
        **{name: ("/predict", content, "image/*") for name, content in files.items()},
        "form": ("/predict", *form(files["PNG"], "image")),
        **{name: ("/v2/models/tiny/infer", tensor(name, **rest), "application/json") for name, rest in tensors.items()},
        WHOLE: ("", http_request("/predict?top=2", files["PNG"], "image/png"), ""),
    }


def tensor(datatype: str, **rest: Any) -> bytes:
    """Return a request of the Open Inference Protocol."""
    return json.dumps({"id": "x", "inputs": [{"name": "image", "datatype": datatype, **rest}]}).encode()


def mutated(port: int, server: int, *, cases: int, seed: int) -> dict[str, Any]:
    """Send damaged requests, a share of each kind, and count the answers."""
    counts: dict[str, Counter[str]] = {}
    before, longest, intact, memory = replicas(server), 0.0, 0, memory_mib(server)
    each = -(-cases // len(bodies()))
    with ThreadPoolExecutor(8) as clients:
        for name, (path, body, content_type) in bodies().items():

            def send(damaged: bytes, name: str = name, path: str = path, kind: str = content_type) -> tuple[int, float]:
                began = time.perf_counter()
                whole = damaged if name == WHOLE else http_request(path, damaged, kind)
                # what is damaged as a whole may wait for more
                status = exchange(port, whole, seconds=0.5 if name == WHOLE else 60)
                return status, time.perf_counter() - began

            rngs = (np.random.default_rng([seed, number]) for number in range(each))
            answers = list(clients.map(send, (mutate(body, rng)[0] for rng in rngs)))
            counts[name] = Counter(str(status) for status, _ in answers)
            longest = max(longest, *(seconds for _, seconds in answers))
            intact += send(body)[0] == 200
            print(name, dict(counts[name]), flush=True)
    statuses = sum(counts.values(), Counter())
    expected = [status for name in counts if name != WHOLE for status in counts[name]]
    return {
        "requests": sum(statuses.values()),
        "answers": {name: dict(sorted(found.items())) for name, found in counts.items()},
        "longest_seconds": longest,
        "intact_answered": f"{intact} of {len(counts)}",
        "replicas_alive": before == replicas(server),
        "memory_mib": {"before": memory, "after": memory_mib(server)},
        "holds": all(status == "200" or "400" <= status < "500" for status in expected)
        and "500" not in statuses
        and intact == len(counts)
        and before == replicas(server),
    }


def exchange(port: int, request: bytes, *, seconds: float) -> int:
    """Send a request, and return the status of the answer; 0 if there is none in this time."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.settimeout(seconds)
        try:
            connection.sendall(request)
            answer = connection.recv(65536)
        except OSError:
            return 0
    found = re.match(rb"HTTP/1.1 (\d{3})", answer)
    return int(found[1]) if found else 0


def replicas(server: int) -> list[int]:
    """Return the processes of the replicas of a server."""
    found = []
    for process in tree(server):
        try:
            name = Path(f"/proc/{process}/cmdline").read_text()
        except OSError:
            continue
        if name.startswith("ray::ServeReplica"):
            found.append(process)
    return sorted(found)


def killed(port: int, server: int) -> dict[str, Any]:
    """Kill one replica after the other while clients ask, each once the one before has been replaced."""
    done, kills = threading.Event(), []

    def kill() -> None:
        for _ in range(KILLS):
            time.sleep(1)
            running = replicas(server)
            os.kill(running[0], signal.SIGKILL)
            kills.append(running[0])
            while len(after := replicas(server)) < len(running) or running[0] in after:
                time.sleep(0.1)
        time.sleep(1)
        done.set()

    killer = threading.Thread(target=kill)
    killer.start()
    requests = [http_request(path, body, kind) for path, body, kind in bodies().values() if kind == "image/*"]
    answers = ask(port, requests, clients=16, until=lambda _: done.is_set())
    killer.join()
    lost = sum(answers.statuses.values()) - answers.statuses[200]
    return {"kills": len(kills), **answers.summary(), "lost": lost, "holds": lost == 0}


def overload(port: int) -> dict[str, Any]:
    """Ask with more clients than there is room for."""
    requests = [http_request(path, body, kind) for path, body, kind in bodies().values() if kind == "image/*"]
    answers = ask(port, requests, clients=OVERLOAD_CLIENTS, until=for_seconds(10))
    return {
        "clients": OVERLOAD_CLIENTS,
        **answers.summary(),
        "holds": set(answers.statuses) <= {200, 503, 504} and answers.statuses[200] > 0,
    }


def slow(port: int) -> dict[str, Any]:
    """Ask while many connections send a byte now and then: half of them headers, half of them a body."""
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\n"
    connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(SLOW_CLIENTS)]
    done = threading.Event()

    def drip() -> None:
        for number, connection in enumerate(connections):
            connection.sendall(head + (b"Content-Length: 1000\r\n\r\n" if number % 2 else b"X-Slow: "))
        while not done.wait(0.5):
            for connection in connections:
                with suppress(OSError):  # it was given up
                    connection.send(b"x")

    dripping = threading.Thread(target=drip)
    dripping.start()
    requests = [http_request(path, body, kind) for path, body, kind in bodies().values() if kind == "image/*"]
    answers = ask(port, requests, clients=8, until=for_seconds(15))
    done.set()
    dripping.join()
    given_up = sum(is_closed(connection) for connection in connections)
    failed = sum(answers.statuses.values()) - answers.statuses[200]
    return {"connections": SLOW_CLIENTS, "given_up": given_up, **answers.summary(), "holds": failed == 0 < given_up}


def is_closed(connection: socket.socket) -> bool:
    """Return whether the server has closed a connection, or answered."""
    connection.settimeout(0.01)
    try:
        return len(connection.recv(1000)) >= 0
    except TimeoutError:
        return False
    except OSError:
        return True
    finally:
        connection.close()


@contextmanager
def served(time_limit: float) -> Iterator[tuple[int, int]]:
    """Serve a tiny classifier; yield its port and its process."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tiny.keras"
        classifier(tiny_model(size=(SIDE, SIDE))).save(path)
        command = [sys.executable, "-m", "resnet50", "serve", str(path), "--port", "0", "--replicas", "2"]
        command += ["--time-limit", str(time_limit)]
        environment = os.environ | {"COLUMNS": "1000"}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
            try:
                line = server.stdout.readline()
                yield int(re.search(r":(\d+)/", line)[1]), server.pid
            finally:
                server.send_signal(signal.SIGTERM)
                server.wait(120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=10_000, help="damaged requests")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    session = Session(
        RESULTS,
        what="resnet50 serve under faults: a tiny classifier, two replicas",
        command=f"PYTHONPATH=tests python benchmarks/serving_faults.py --cases {options.cases} --seed {options.seed}",
    )
    results: dict[str, Any] = {}
    with served(time_limit=10) as (port, server):
        faults: dict[str, Callable[[], dict[str, Any]]] = {
            "mutated": lambda: mutated(port, server, cases=options.cases, seed=options.seed),
            "killed": lambda: killed(port, server),
            "overload": lambda: overload(port),
            "slow": lambda: slow(port),
        }
        for name, fault in faults.items():
            results[name] = fault()
            print(name, json.dumps(results[name]), flush=True)
    runtimes = {name: version(name) for name in ("ray", "fastapi", "uvicorn", "onnxruntime")}
    session.write({"runtimes": runtimes, **results})
    sys.exit(0 if all(result["holds"] for result in results.values()) else 1)


if __name__ == "__main__":
    main()
