"""Small files in place of ONNX Runtime Web, for tests that open no browser."""

from __future__ import annotations

import functools
import hashlib
import http.server
import threading
from pathlib import Path

import pytest

from resnet50._io.download import Download
from resnet50.exporters import web_runtime

STAND_INS = {"a.mjs": b"one", "b.wasm": b"other"}


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """Let the files come from an address where nobody answers, with an empty cache."""
    monkeypatch.setenv("RESNET50_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("resnet50._io.fetch._RETRIES", 0)
    set_address(monkeypatch, "http://127.0.0.1:9")


@pytest.fixture
def dist(nowhere, tmp_path) -> Path:
    """A folder with the files."""
    folder = tmp_path / "dist"
    folder.mkdir()
    for name, content in STAND_INS.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def served(dist, monkeypatch) -> list[str]:
    """Let the files come from a server for that folder; the paths that it was asked for."""
    paths = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            paths.append(self.path)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(dist))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        set_address(monkeypatch, f"http://127.0.0.1:{server.server_address[1]}")
        yield paths
        server.shutdown()


def set_address(monkeypatch, address):
    downloads = tuple(
        Download(name, (f"{address}/{name}",), len(content), len(content), sha256=hashlib.sha256(content).hexdigest())
        for name, content in STAND_INS.items()
    )
    monkeypatch.setattr(web_runtime, "DOWNLOADS", downloads)
