"""The files of ONNX Runtime Web: checked by their hashes, from a folder or a server."""

from __future__ import annotations

import hashlib

import pytest

from factories import raises
from resnet50._io.download import Download
from resnet50._io.fetch import DownloadError
from resnet50.exporters import web_runtime as module
from resnet50.exporters.web_runtime import DOWNLOADS, find_runtime

CONTENTS = {"a.mjs": b"one", "b.wasm": b"two"}


@pytest.fixture
def stand_ins(monkeypatch, tmp_path):
    """Small files in place of the runtime, from an address where nobody answers."""
    monkeypatch.setenv("RESNET50_CACHE", str(tmp_path / "cache"))
    made = tuple(
        Download(
            name, ("http://127.0.0.1:9/dist",), len(content), len(content), sha256=hashlib.sha256(content).hexdigest()
        )
        for name, content in CONTENTS.items()
    )
    monkeypatch.setattr(module, "DOWNLOADS", made)
    folder = tmp_path / "dist"
    folder.mkdir()
    for name, content in CONTENTS.items():
        (folder / name).write_bytes(content)
    return folder


def test_the_files_of_a_folder_are_checked(stand_ins):
    assert [path.read_bytes() for path in find_runtime(stand_ins)] == [b"one", b"two"]
    (stand_ins / "b.wasm").write_bytes(b"TWO")
    with raises(ValueError, stand_ins / "b.wasm", module.VERSION):
        find_runtime(stand_ins)
    (stand_ins / "a.mjs").unlink()
    with raises(ValueError, stand_ins / "a.mjs"):
        find_runtime(stand_ins)


def test_the_cache_is_used_without_a_network(stand_ins, tmp_path):
    with raises(DownloadError, "a.mjs", "127.0.0.1"):
        find_runtime(None)
    cached = tmp_path / "cache" / "onnxruntime-web" / module.VERSION
    cached.mkdir(parents=True)
    for name, content in CONTENTS.items():
        (cached / name).write_bytes(content)
    assert find_runtime(None) == [cached / name for name in CONTENTS]


def test_the_addresses_name_the_version():
    assert [download.name for download in DOWNLOADS] == [
        "ort.wasm.min.mjs",
        "ort-wasm-simd-threaded.mjs",
        "ort-wasm-simd-threaded.wasm",
    ]
    for download in DOWNLOADS:
        (url,) = download.urls
        assert url.startswith("https://")
        assert f"@{module.VERSION}/" in url
        assert download.sha256
        assert download.size
