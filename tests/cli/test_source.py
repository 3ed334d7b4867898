from __future__ import annotations

import argparse
import re

import pytest

from factories import dataset, raises
from resnet50.cli import source
from resnet50.data.options import ReadOptions
from resnet50.datasets.source import DataSource
from resnet50.recipes import RECIPES


@pytest.fixture
def find(tmp_path, monkeypatch):
    """Find the source that words name, in a folder with some files."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for name in ("list.csv", "images.h5", "notes.txt"):
        (tmp_path / name).touch()
    parser = argparse.ArgumentParser()
    source.add_source_arguments(parser)
    return lambda *words: source.find_source(parser.parse_args(words))


@pytest.mark.parametrize("name", ["photos", "list.csv", "images.h5", "./photos"])
def test_a_path_means_your_own_images(find, tmp_path, name):
    assert find(name) == DataSource("folder", str(tmp_path / name))
    assert find(name, "--test-split", "0.3").options == ReadOptions(test_split=0.3)


def test_a_task_may_have_a_path(find, tmp_path):
    assert find("signs") == DataSource("signs")
    assert find("signs", "photos") == find("signs", "--data", "photos") == DataSource("signs", str(tmp_path / "photos"))


def test_a_name_that_is_both_is_the_task_and_a_line_says_so(find, tmp_path, capsys):
    (tmp_path / "signs").mkdir()
    assert find("signs") == DataSource("signs")
    printed = capsys.readouterr()
    assert (printed.out, printed.err.count("\n")) == ("", 1)
    assert "./signs" in printed.err
    assert find("./signs").task == "folder"


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (("sings",), ("'sings'", "did you mean signs?")),
        (("photoz",), ("'photoz'", "did you mean photos?")),
        (("photoz/",), ("'photoz/'", "did you mean photos?")),
        (("lists.csv",), ("'lists.csv'", "did you mean list.csv?")),
        (("nowhere",), ("'nowhere'", "resnet50 recipes")),
        (("notes.txt",), ("'notes.txt'",)),
        (("photos", "photos"), ("photos",)),
        (("photos", "--data", "list.csv"), ("photos", "list.csv", "--data")),
        (("signs", "photos", "--data", "list.csv"), ("photos", "list.csv", "--data")),
        (("signs", "--test-split", "0.3"), ("signs", "test_split")),
        (("s3://bucket/photos",), ("s3://bucket/photos", "pack URL OUT --records")),
    ],
)
def test_what_names_no_source_is_refused(find, words, values):
    with raises(ValueError, *values):
        find(*words)


@pytest.mark.parametrize("word", ["photoz", "photos/cats", "nowhere", "sings"])
def test_the_error_on_a_mistyped_word_names_one_task_at_most(find, word):
    with raises(ValueError, repr(word)) as caught:
        find(word)
    assert sum(name in str(caught.value).split("got ")[1] for name in RECIPES) <= 1
    assert len(str(caught.value)) < 160


def test_a_split_is_printed_with_a_number_for_each_class():
    line = source.counts("validation", dataset([2, 0, 2], ("a", "b", "c")))
    assert line.split()[:2] == ["validation", "3"]
    assert re.findall(r"(\w+): (\d+)", line) == [("a", "1"), ("b", "0"), ("c", "2")]
    assert "\n" not in line
