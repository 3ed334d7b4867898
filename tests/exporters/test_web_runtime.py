"""The files of ONNX Runtime Web: fetched once, and checked by their hashes wherever they come from."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path

import pytest

import factories
from factories import noise, raises
from resnet50._io.fetch import DownloadError
from resnet50.exporters import export as exporting
from resnet50.exporters.export import export
from resnet50.exporters.web_runtime import (
    DOWNLOADS,
    VERSION,
    fetch_runtime,
    find_runtime,
    missing_bytes,
    runtime_folder,
)

IMAGES = noise(2, 32, 40, 3)


def test_the_files_are_fetched_once(served):
    assert missing_bytes() == 8
    folder = fetch_runtime()
    assert folder == runtime_folder()
    assert [path.read_bytes() for path in find_runtime(folder)] == [b"one", b"other"]
    assert missing_bytes() == 0
    assert fetch_runtime() == folder
    assert served == ["/a.mjs", "/b.wasm"]


def test_a_damaged_file_in_the_cache_is_fetched_again(served):
    (fetch_runtime() / "b.wasm").write_bytes(b"OTHER")
    assert missing_bytes() == 5
    assert (fetch_runtime() / "b.wasm").read_bytes() == b"other"
    assert served == ["/a.mjs", "/b.wasm", "/b.wasm"]


def test_another_file_from_the_server_is_refused(served, dist):
    (dist / "b.wasm").write_bytes(b"OTHER")
    with raises(DownloadError, "b.wasm", "sha256", runtime_folder() / "b.wasm"):
        fetch_runtime()
    assert not (runtime_folder() / "b.wasm").exists()


def test_without_a_network_the_error_says_where_to_put_the_files(nowhere):
    with raises(DownloadError, "a.mjs", "127.0.0.1", runtime_folder() / "a.mjs"):
        fetch_runtime()


def test_the_files_of_a_folder_are_checked(dist):
    assert [path.read_bytes() for path in find_runtime(dist)] == [b"one", b"other"]
    (dist / "b.wasm").write_bytes(b"OTHER")
    with raises(ValueError, dist / "b.wasm", VERSION):
        find_runtime(dist)
    (dist / "a.mjs").unlink()
    with raises(FileNotFoundError, dist / "a.mjs", VERSION):
        find_runtime(dist)
    with raises(FileNotFoundError, dist / "none" / "a.mjs"):
        find_runtime(dist / "none")


def test_the_guide_names_the_version():
    guide = Path(__file__).resolve().parents[2] / "docs" / "guides" / "web.md"
    assert f"onnxruntime-web@{VERSION}" in guide.read_text(encoding="utf-8")


def test_the_addresses_name_the_version():
    assert [download.name for download in DOWNLOADS] == [
        "ort.wasm.min.mjs",
        "ort-wasm-simd-threaded.mjs",
        "ort-wasm-simd-threaded.wasm",
    ]
    assert sum(download.size for download in DOWNLOADS) == 14_314_404
    for download in DOWNLOADS:
        assert all(url.startswith("https://") and f"@{VERSION}/" in url for url in download.urls)
        assert len({url.split("/")[2] for url in download.urls}) == 2
        assert download.sha256


@pytest.fixture(scope="module")
def classifier():
    return factories.classifier()


def test_a_page_is_exported_with_the_files(classifier, served, tmp_path):
    out = tmp_path / "page"
    export(classifier, out, format="web", precision="fp32", check=IMAGES)
    assert {path.name for path in out.iterdir()} == {
        "a.mjs",
        "b.wasm",
        "doubt.js",
        "index.html",
        "labels.txt",
        "model.onnx",
        "NOTICE.txt",
        "page.css",
        "page.js",
        "README.txt",
        "resnet50.json",
        "start.js",
    }
    assert (out / "b.wasm").read_bytes() == b"other"
    assert VERSION in (out / "NOTICE.txt").read_text(encoding="utf-8")
    assert served == ["/a.mjs", "/b.wasm"]


def refuses(kind, made, tmp_path, *values, **options):
    """Expect an error of an export, and nothing left behind."""
    with raises(kind, *values):
        export(made, tmp_path / "out", check=IMAGES, **{"format": "web", "precision": "fp32"} | options)
    assert not [path for path in tmp_path.iterdir() if path.name not in ("dist", "cache")]


def test_no_page_without_the_files(classifier, dist, tmp_path):
    refuses(DownloadError, classifier, tmp_path, "a.mjs", "127.0.0.1")
    (dist / "a.mjs").unlink()
    refuses(FileNotFoundError, classifier, tmp_path, dist / "a.mjs", web_runtime=dist)


def test_a_disk_that_fills_up_is_named_by_the_export(classifier, dist, tmp_path, monkeypatch):
    def copyfile(*_):
        raise OSError(errno.ENOSPC, "No space left on device", "b.wasm")

    monkeypatch.setattr(exporting.shutil, "copyfile", copyfile)
    refuses(OSError, classifier, tmp_path, tmp_path / "out", "full disk", web_runtime=dist)


def test_a_taken_name_is_refused_before_anything_is_fetched(classifier, served, tmp_path):
    (tmp_path / "out").mkdir()
    with raises(ValueError, tmp_path / "out"):
        export(classifier, tmp_path / "out", format="web", check=IMAGES)
    assert served == []


def test_a_classifier_of_deep_images_is_refused(classifier, dist, tmp_path):
    deep = replace(classifier, fit=replace(classifier.fit, value_range=(0.0, 4095.0)))
    refuses(ValueError, deep, tmp_path, "web", 0, 4095, web_runtime=dist)


def test_the_files_are_for_pages(classifier, dist, tmp_path):
    refuses(ValueError, classifier, tmp_path, "web", "onnx", format="onnx", web_runtime=dist)
