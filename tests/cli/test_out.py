from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from factories import raises
from resnet50.cli.out import check_file, reserved_folder, run_name
from resnet50.datasets.source import DataSource


def test_the_suffix_of_a_result_is_checked():
    assert check_file("a/page.HTML", ".html", ".htm") == ".html"
    with raises(ValueError, "page.txt", ".html, .htm", ".txt"):
        check_file("page.txt", ".html", ".htm")
    with raises(ValueError, "page", ".html"):
        check_file("page", ".html")


def test_a_place_that_cannot_be_written_to_is_refused_before_any_work(tmp_path, monkeypatch):
    (tmp_path / "notes.txt").touch()
    (tmp_path / "a.html").mkdir()
    for path, named in (
        ("a.html", "a.html"),
        ("notes.txt/page.html", "notes.txt"),
        ("notes.txt/b/c.html", "notes.txt"),
    ):
        with raises(ValueError, tmp_path / named):
            check_file(tmp_path / path, ".html")
    assert check_file(tmp_path / "new" / "page.html", ".html") == ".html"
    assert not (tmp_path / "new").exists()
    with monkeypatch.context() as nothing, raises(ValueError, "expected a folder to write to"):
        nothing.setattr(os.path, "lexists", lambda _: False)  # as of a drive that is not there
        nothing.setattr(Path, "is_dir", lambda _: False)
        check_file(tmp_path / "page.html", ".html")
    asked = []
    monkeypatch.setattr(os, "access", lambda path, mode: asked.append((path, mode)))
    with raises(PermissionError, tmp_path / "new" / "page.html"):
        check_file(tmp_path / "new" / "page.html", ".html")
    assert asked == [(tmp_path, os.W_OK | os.X_OK)]


def test_a_reserved_folder_is_new_and_goes_if_it_stays_empty(tmp_path):
    name = tmp_path / "runs" / "tiny-20260102-030405"
    with reserved_folder(name) as first, reserved_folder(name) as second:
        assert first == name
        assert second.name == "tiny-20260102-030405-2"
        (second / "recipe.json").touch()
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [second.name]
    with pytest.raises(RuntimeError), reserved_folder(tmp_path / "others" / "x"):
        raise RuntimeError
    assert not (tmp_path / "others").exists()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("photos v1.2", "photos v1.2"),
        ("list.csv", "list"),
        ("a\x1bb", "recipe"),
        ("/", "recipe"),
        ("\u00e9" * 99, "\u00e9" * 40),
    ],
)
def test_a_run_on_own_images_is_named_after_them(tmp_path, name, expected):
    (tmp_path / "photos v1.2").mkdir()
    named = run_name(DataSource("folder", tmp_path / name), "recipe", kind="crossval-")
    assert re.fullmatch("crossval-" + re.escape(expected) + r"-\d{8}-\d{6}", named)
    assert run_name(DataSource("signs", tmp_path / name), "scratch").startswith("scratch-")
