from __future__ import annotations

import dataclasses
import hashlib

import pytest

from factories import raises
from resnet50._io.fetch import Download
from resnet50.weights import registry
from resnet50.weights.registry import find_published
from resnet50.weights.status import cached_path, facts, find_weights, is_cached, verify

CONTENT = b"weights"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET50_CACHE", str(tmp_path))
    row = find_published("timm/a1_in1k")
    download = Download(row.download.name, row.download.urls, 2**20, sha256=hashlib.sha256(CONTENT).hexdigest())
    monkeypatch.setitem(registry.REGISTRY, row.name, dataclasses.replace(row, download=download))
    monkeypatch.chdir(tmp_path)


def put(content=CONTENT):
    path = cached_path(find_published("timm/a1_in1k"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_a_published_file_is_cached_once_it_is_there(tmp_path):
    row = find_published("timm/a1_in1k")
    assert not is_cached(row)
    path = put()
    assert path.is_relative_to(tmp_path)
    assert is_cached(row)
    assert (facts(row)["path"], facts(row)["cached"]) == (str(path), True)


def test_weights_are_found_by_name_or_file(tmp_path):
    (tmp_path / "mine.pth").touch()
    assert find_weights("timm/a1_in1k") == (find_published("timm/a1_in1k"), cached_path(find_published("timm/a1_in1k")))
    assert find_weights("mine.pth")[0] is None
    with raises(FileNotFoundError, "other.pth", "resnet50 weights"):
        find_weights("other.pth")
    with raises(ValueError, "imagenet", "'imagent'"):
        find_weights("imagent")


def test_verdicts(tmp_path):
    row = find_published("timm/a1_in1k")
    assert not verify(row, cached_path(row)).right
    assert verify(row, put()).right
    assert not verify(row, put(b"damaged")).right
    (tmp_path / "mine.pth").write_bytes(CONTENT)
    (tmp_path / "other.pth").write_bytes(b"other")
    assert verify(None, "mine.pth").right
    assert "timm/a1_in1k" in verify(None, "mine.pth").name
    assert not verify(None, "other.pth").right
