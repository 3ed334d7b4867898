from __future__ import annotations

import os
from pathlib import Path

import pytest

from resnet50._io.paths import (
    ABSENT,
    as_given,
    describe_missing_source,
    describe_path,
    describe_source,
    is_dead_link,
    is_url,
)


def test_what_is_there_is_named(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "dead").symlink_to("gone")
    (tmp_path / "alive").symlink_to("file")
    found = {name: describe_path(tmp_path / name) for name in ("file", "dead", "alive", "none", ".")}
    assert found["file"] == found["alive"] == "a file"
    assert found["."] == "a folder"
    assert found["none"] == ABSENT
    assert "link" in found["dead"]
    assert "gone" in found["dead"]
    assert [is_dead_link(tmp_path / name) for name in ("file", "dead", "alive", "none")] == [False, True, False, False]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_named(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert describe_path(tmp_path / "pipe") not in ("a file", "a folder", ABSENT)


@pytest.mark.parametrize(
    "url",
    [
        "https://a.b/c.jpg",
        "HTTP://a.b",
        "s3://bucket/key",
        "sftp://a.b/c",
        "abfs://box/c",
        "zip://::s3://bucket/c.zip",
        "simplecache::s3://bucket/c",
        Path("https://a.b/c"),
        Path("gcs://bucket/c"),
        Path("zip://::s3://bucket/c.zip"),
    ],
)
def test_a_url_is_no_path(url):
    assert is_url(str(url))
    assert "URL" in describe_path(url)
    assert "download" in describe_path(url)
    assert "://" in as_given(url)


def test_a_url_that_became_a_path_is_shown_as_it_was():
    for url in ("s3://bucket/key", "zip://::file:///a.zip", "file:///a/b", "simplecache::gcs://bucket/c"):
        assert as_given(url) == as_given(Path(url)) == as_given(Path(url).absolute()) == url


def test_images_at_a_url_can_be_packed(tmp_path):
    for url in ("s3://bucket/photos", "sftp://host/photos", Path("abfs://box/photos")):
        assert "pack URL OUT --records" in describe_source(url)
    assert describe_source(tmp_path / "gone") == ABSENT
    assert describe_source(tmp_path) == "a folder"


@pytest.mark.parametrize("path", ["c:/photos", "a/https/b", "photos", "http", "data:x", "c:x", "a::b", "data:x/b"])
def test_a_path_is_no_url(path):
    assert not is_url(path)
    assert as_given(path) == path
    assert describe_path(path) == ABSENT


def test_a_hyphen_is_not_standard_input():
    assert "standard input" in describe_path("-")


def test_a_name_with_a_zero_byte_is_absent():
    assert describe_path("a\0b") == ABSENT


def test_a_path_that_does_not_exist_gets_the_nearest_that_may_be_meant(tmp_path):
    (tmp_path / "data" / "photos").mkdir(parents=True)
    for name in ("list.CSV", "about.txt"):
        (tmp_path / "data" / name).touch()
    meant = {
        tmp_path / "data" / "photoz": f"; did you mean {tmp_path / 'data' / 'photos'}?",
        tmp_path / "data" / "about.tx": f": {ABSENT}.",  # a text is not what may be meant
        tmp_path / "data" / "lists.CSV": f"; did you mean {tmp_path / 'data' / 'list.CSV'}?",
        tmp_path / "data" / "signz": f": {ABSENT}.",  # a word has no folder
        tmp_path / "dota" / "photos": f": {ABSENT}.",
        tmp_path / "data" / "about.txt": ": a file.",
    }
    for path, expected in meant.items():
        assert describe_missing_source(path, (".csv",), ("signs",)) == expected


def test_a_word_without_a_folder_may_be_one_of_the_words(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sign").mkdir()
    assert describe_missing_source("sings", (), ("signs",)) == "; did you mean signs?"
    assert describe_missing_source("sings/", (), ("signs",)) == "; did you mean sign?"
    assert describe_missing_source("x" * 5000, (), ("signs",)) == f": {ABSENT}."


def test_what_cannot_be_typed_or_opened_is_not_meant(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("-photos", "pho\ttos"):
        (tmp_path / name).mkdir()
    for name in ("loop", "lo-op"):
        (tmp_path / name).symlink_to(name)
    assert describe_missing_source("photos", ()) == f": {ABSENT}."
    (tmp_path / "Photos 2").mkdir()
    assert describe_missing_source("PHOTOS2", ()) == "; did you mean Photos 2?"
