"""Serve a classifier over HTTP until the process is asked to stop: start, drain, stop."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING
from uuid import uuid4

from resnet50._io.ray_cluster import connected, threads_each
from resnet50.inference.locate import Located, locate
from resnet50.serving.served_model import ServedModel, model_name
from resnet50.serving.signals import StopSignals, stop_signals

if TYPE_CHECKING:
    from resnet50.serving.deployment import Replicas

INSTALL = "pip install 'resnet50[serve]'"
"""Command that installs the packages that serving needs."""

_PACKAGES = ("fastapi", "python_multipart", "ray", "uvicorn")


def serve(
    model: str | os.PathLike[str],
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    replicas: int = 1,
    address: str | None = None,
    time_limit: float = 30.0,
    max_body: int = 16,
    started: Callable[[str], None] | None = None,
) -> None:
    """Serve a classifier over HTTP, by Ray Serve, until SIGTERM or Ctrl-C; requests under way are answered first.

    Args:
        model: A ``.keras`` file, the folder of a run or the folder of an export.
        host: Address to listen on. The default is this machine alone.
        port: Port to listen on; 0 for any that is free.
        replicas: Processes that classify. They share the processors.
        address: Address of the head of a running Ray cluster, such as ``"192.168.1.10:6379"``, whose nodes all find the
            model at the same path; None to start Ray for this process alone.
        time_limit: Seconds that a request's body may take to arrive, and again that its answer may take.
        max_body: Largest body in MiB.
        started: Called with the URL once requests are answered.

    A signal that comes during the start ends it at its next step, with nothing left behind; a second one at once.

    Raises:
        FileNotFoundError: If there is no such model.
        ImportError: If a package that serving needs is not installed.
        KeyboardInterrupt: If Ctrl-C ends the start. SIGTERM raises SystemExit.
        OSError: If the address is taken or not one of this machine, or Ray does not start.
        ValueError: If the model cannot be opened, a number is out of range, or the cluster has too few processors.
    """
    numbers = {"replicas": replicas, "time_limit": time_limit, "max_body": max_body}
    for name, value in numbers.items():
        if not value >= 1:
            raise ValueError(f"expected {name} to be at least 1, got {value}.")
    if not 0 <= port <= 65535:
        raise ValueError(f"expected port to be from 0 to 65535, got {port}.")
    located = locate(model)
    _check_packages()
    from resnet50.serving.api import application
    from resnet50.serving.http_server import http_server
    from resnet50.serving.limits import Limits

    limits = Limits(seconds=time_limit, body_bytes=max_body << 20)
    with (
        stop_signals() as signals,
        _bind(host, port) as listener,
        connected(address) as processors,
        _running(located, replicas, processors, signals, ends_with_ray=address is None) as (served, answering),
    ):
        signals.raise_received()

        def report() -> None:
            if signals.received is not None:
                server.should_exit = True
            elif started is not None:
                started(_url(listener))

        read = answering.reader(served, most_images=limits.images)
        app = application(served, answering.classify, read=read, ready=answering.ready, limits=limits)
        server = http_server(app, seconds=2 * time_limit, started=report)
        server.run(sockets=[listener])


def _check_packages() -> None:
    for name in _PACKAGES:
        if find_spec(name) is None:
            raise ImportError(f"expected the package {name} to serve a model, got none installed; {INSTALL}.")


def _bind(host: str, port: int) -> socket.socket:
    """Return a socket that is bound and does not listen yet: who connects before the server is ready is refused."""
    try:
        family, *_, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.socket(family)
        try:
            if os.name == "posix":  # elsewhere it would share a port that is in use
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(where)
        except BaseException:
            listener.close()
            raise
    except OSError as error:
        reason = getattr(error, "strerror", None) or error
        raise OSError(f"{host}:{port}: expected an address to listen on, got an error ({reason}).") from error
    return listener


def _url(listener: socket.socket) -> str:
    host, port, *_ = listener.getsockname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def _running(
    model: Located, replicas: int, processors: Sequence[int], signals: StopSignals, *, ends_with_ray: bool
) -> Iterator[tuple[ServedModel, Replicas]]:
    """Run the replicas of a classifier in the block."""
    from ray import serve as ray_serve

    from resnet50.serving import deployment

    logging.getLogger("ray.serve").setLevel(logging.ERROR)  # after the import, which sets another level
    signals.take()  # Ray has taken SIGTERM
    signals.raise_received()
    path, name = str(model.model.resolve()), f"resnet50-{uuid4().hex[:8]}"  # a cluster may have others
    served = deployment.open_model(path, model_name(model))
    signals.raise_received()
    try:
        yield served, deployment.start(path, name=name, replicas=replicas, threads=threads_each(processors, replicas))
    finally:
        if not ends_with_ray:
            ray_serve.delete(name)
