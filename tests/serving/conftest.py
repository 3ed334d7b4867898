"""An application behind uvicorn on a port of this machine, with a plain function as the classifier."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from resnet50.data.images import fit_image
from resnet50.inference.prediction import Doubt
from resnet50.serving.open_inference import InferenceRequest, read_request
from resnet50.serving.served_model import Answer, ServedModel, Shares

MODEL = ServedModel(
    name="letters",
    class_names=("a", "b", "c"),
    image_size=(4, 5),
    precision="fp32",
    dataset="alphabet",
    fingerprint="f" * 64,
    metrics={"accuracy": 0.5},
    fit={"mode": "crop"},
)

ROW = np.array([0.25, 0.125, 0.625], np.float32)
DOUBT = Doubt(("c", "a"), False, 0.25)


async def classify(images: Sequence[bytes | np.ndarray], shares: Shares | None) -> list[Answer | str]:
    """Decode each image, and give all the same probabilities and, where shares are given, the same doubt."""
    rows: list[Answer | str] = []
    for image in images:
        try:
            fit_image(image, height=4, width=5)
            rows.append(Answer(ROW, DOUBT) if shares else Answer(ROW))
        except ValueError as error:
            rows.append(str(error))
    return rows


async def ready() -> bool:
    return True


@pytest.fixture
def start() -> Iterator[Callable[..., str]]:
    """Start an application in a thread, and return its URL."""
    from resnet50.serving.api import application
    from resnet50.serving.http_server import http_server

    running: list[tuple[Any, threading.Thread]] = []

    def run(
        answer: Callable[..., Awaitable[Any]] = classify,
        *,
        ready: Callable[[], Awaitable[bool]] = ready,
        read: Callable[[bytes], Awaitable[InferenceRequest]] | None = None,
        **limits: Any,
    ) -> str:
        from resnet50.serving.limits import Limits

        listener = socket.create_server(("127.0.0.1", 0))
        listening = threading.Event()
        bounds = Limits(**limits)

        async def read_in_a_thread(body: bytes) -> InferenceRequest:
            return await asyncio.to_thread(read_request, body, MODEL, most_images=bounds.images)

        app = application(MODEL, answer, read=read or read_in_a_thread, ready=ready, limits=bounds)
        server = http_server(app, seconds=5, started=listening.set)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        running.append((server, thread))
        assert listening.wait(10)
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    def stop() -> None:
        for server, thread in running:
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()

    run.stop = stop  # type: ignore[attr-defined]
    yield run
    stop()


@pytest.fixture
def exchange() -> Callable[..., bytes]:
    """Send bytes over a connection of its own, and return all that comes back until the server closes it."""

    def run(url: str, *parts: bytes) -> bytes:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=120) as connection:
            for part in parts:
                connection.sendall(part)
            return b"".join(iter(lambda: connection.recv(1 << 16), b""))

    return run


@pytest.fixture
def model() -> ServedModel:
    return MODEL
