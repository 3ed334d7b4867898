from __future__ import annotations

import dataclasses
import hashlib
import http.server
import io
import sys
import threading
from pathlib import Path

import pytest

from factories import posix, raises
from resnet50._io.fetch import Download, DownloadError
from resnet50.weights import registry
from resnet50.weights.fetch import check_weights, fetch_weights, weights_folder
from resnet50.weights.registry import REGISTRY

CONTENT = bytes(range(256)) * 700
MD5 = hashlib.md5(CONTENT).hexdigest()  # noqa: S324
SHA256 = hashlib.sha256(CONTENT).hexdigest()
KERAS_FILE = "resnet50_weights_tf_dim_ordering_tf_kernels.h5"


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.asked.append(self.path)
        status, headers, body = {
            "/right": (200, {}, CONTENT),
            "/wrong": (200, {}, CONTENT[::-1]),
            "/linked": (302, {"Location": "/right", "X-Linked-ETag": f'"{SHA256}"', "X-Linked-Size": "179200"}, b""),
        }.get(self.path, (404, {}, b"no"))
        self.send_response(status)
        for header in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(*header)
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr("resnet50._io.fetch._RETRIES", 0)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def caches(tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET50_CACHE", str(tmp_path / "ours"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path


def serve(monkeypatch, server, name, page, **known):
    """Let a row of the registry have a small file on the local server."""
    row = REGISTRY[name]
    download = Download(row.download.name, (f"http://127.0.0.1:{server.server_port}/{page}",), 2**20, **known)
    monkeypatch.setattr(registry, "REGISTRY", {**REGISTRY, name: dataclasses.replace(row, download=download)})


def test_each_file_has_a_place_of_its_own(caches):
    paths = {weights_folder(published) / published.download.name for published in REGISTRY.values()}
    assert len(paths) == len(REGISTRY)
    ours = {
        name: (weights_folder(REGISTRY[name]) / REGISTRY[name].download.name).relative_to(caches).as_posix()
        for name in ("imagenet", "torchvision/imagenet1k_v2", "timm/a1_in1k", "microsoft/resnet-50")
    }
    assert ours == {
        "imagenet": f"keras/models/{KERAS_FILE}",
        "torchvision/imagenet1k_v2": "ours/weights/torchvision/resnet50-11ad3fa6.pth",
        "timm/a1_in1k": "ours/weights/timm/resnet50.a1_in1k.safetensors",
        "microsoft/resnet-50": "ours/weights/microsoft/resnet-50.safetensors",
    }


def test_keras_files_are_where_keras_looks_for_them(caches, monkeypatch):
    # this is how keras.applications asks for the file; it is there, so nothing is downloaded
    import keras
    from keras.src.backend.config import keras_home

    monkeypatch.setenv("KERAS_HOME", keras_home())  # read by Keras once, when it was imported
    folder = weights_folder(REGISTRY["imagenet"])
    assert folder == Path(keras_home()).expanduser() / "models"
    path = caches / "models" / KERAS_FILE
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    url = REGISTRY["imagenet"].download.urls[0]
    assert keras.utils.get_file(KERAS_FILE, url, cache_dir=caches, cache_subdir="models", file_hash=MD5) == str(path)


@posix
def test_keras_home_without_the_variable(monkeypatch, tmp_path):
    monkeypatch.delenv("KERAS_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert weights_folder(REGISTRY["imagenet-notop"]) == tmp_path / ".keras" / "models"
    monkeypatch.setenv("HOME", str(tmp_path / "nowhere"))
    assert weights_folder(REGISTRY["imagenet-notop"]) == Path("/tmp/.keras/models")  # noqa: S108
    monkeypatch.setenv("KERAS_HOME", "~/k")
    assert weights_folder(REGISTRY["imagenet-notop"]) == tmp_path / "nowhere" / "k" / "models"


@pytest.mark.parametrize(
    ("name", "page", "known", "where"),
    [
        ("imagenet", "right", {"md5": MD5}, f"keras/models/{KERAS_FILE}"),
        ("timm/d_in1k", "right", {"sha256": SHA256}, "ours/weights/timm/resnet50.d_in1k.safetensors"),
        ("timm/c1_in1k", "linked", {"sha256_from_server": True}, "ours/weights/timm/resnet50.c1_in1k.safetensors"),
    ],
)
def test_fetched_once_and_checked_without_a_network(caches, monkeypatch, server, name, page, known, where):
    serve(monkeypatch, server, name, page, **known)
    with pytest.raises(FileNotFoundError):
        check_weights(name)
    seen = []
    path = fetch_weights(name, progress=lambda done, total: seen.append((done, total)))
    assert path == caches / where
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (179_200, 179_200)
    asked = list(server.asked)
    assert fetch_weights(name) == path
    assert check_weights(name) is None
    assert server.asked == asked


def test_another_folder(caches, monkeypatch, server):
    serve(monkeypatch, server, "imagenet", "right", md5=MD5)
    path = fetch_weights("imagenet", folder=str(caches / "own"))
    assert path == caches / "own" / KERAS_FILE
    assert check_weights("imagenet", folder=path.parent) is None
    assert [entry.name for entry in caches.iterdir()] == ["own"]


def test_a_damaged_file_is_reported_and_replaced(caches, monkeypatch, server):
    serve(monkeypatch, server, "timm/d_in1k", "right", sha256=SHA256)
    path = fetch_weights("timm/d_in1k")
    path.write_bytes(damaged := CONTENT[:-1] + b"x")
    difference = check_weights("timm/d_in1k")
    for value in ("179200", "sha256", hashlib.sha256(damaged).hexdigest(), SHA256):
        assert value in difference
    assert fetch_weights("timm/d_in1k").read_bytes() == CONTENT


def test_without_a_network_the_message_says_what_to_do_by_hand(caches, monkeypatch, server):
    serve(monkeypatch, server, "torchvision/imagenet1k_v1", "gone", sha256=SHA256)
    path = caches / "ours" / "weights" / "torchvision" / "resnet50-0676ba61.pth"
    with raises(DownloadError, f"http://127.0.0.1:{server.server_port}/gone", 404, path) as raised:
        fetch_weights("torchvision/imagenet1k_v1")
    assert path.name in str(raised.value).replace(str(path), "")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(CONTENT)
    assert fetch_weights("torchvision/imagenet1k_v1") == path


def test_keras_older_file_of_the_same_name_is_recognized(caches, monkeypatch, server):
    path = caches / "keras" / "models" / KERAS_FILE
    path.parent.mkdir(parents=True)
    path.write_bytes(older := b"\x89HDF\r\n\x1a\n" + bytes(100_000) + b"res2a_branch2a" + bytes(100))
    serve(monkeypatch, server, "imagenet", "gone", md5=MD5)
    difference = check_weights("imagenet")
    for value in ("100122", "md5", hashlib.md5(older).hexdigest(), MD5, "res2a_branch2a"):  # noqa: S324
        assert value in difference
    with raises(DownloadError, path, "res2a_branch2a"):
        fetch_weights("imagenet")
    serve(monkeypatch, server, "imagenet", "right", md5=MD5)
    assert fetch_weights("imagenet").read_bytes() == CONTENT


@pytest.mark.parametrize("content", [b"", b"damaged"])
def test_another_wrong_file_is_not_taken_for_the_older_one(caches, monkeypatch, server, content):
    path = caches / "keras" / "models" / KERAS_FILE
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    serve(monkeypatch, server, "imagenet", "wrong", md5=MD5)
    assert "res2a" not in check_weights("imagenet")
    with raises(DownloadError, path) as there:
        fetch_weights("imagenet")
    assert "res2a" not in str(there.value)
    path.unlink()
    with raises(DownloadError, path) as missing:
        fetch_weights("imagenet")
    assert str(there.value) != str(missing.value)  # the wrong file is mentioned


@pytest.mark.parametrize("call", [fetch_weights, check_weights])
def test_an_unknown_name(call):
    with raises(ValueError, "timm/a1_in1k", "'a1_in1k'"):
        call("a1_in1k")


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_bar_is_shown_on_a_terminal_only(caches, monkeypatch, server):
    serve(monkeypatch, server, "timm/d_in1k", "right", sha256=SHA256)
    monkeypatch.setenv("TERM", "xterm")
    for screen, shown in ((io.StringIO(), False), (Terminal(), True)):
        monkeypatch.setattr(sys, "stderr", screen)
        fetch_weights("timm/d_in1k", folder=caches / str(shown))
        assert ("timm/d_in1k" in screen.getvalue()) == shown
        assert shown or screen.getvalue() == ""
