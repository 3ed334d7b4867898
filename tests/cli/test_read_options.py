from __future__ import annotations

import argparse

import pytest

from factories import raises
from resnet50.cli import read_options
from resnet50.data.options import ReadOptions


@pytest.fixture
def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    read_options.add_read_options(parser, "pattern", "max_unreadable")
    return parser


def test_options_that_are_not_given_have_their_defaults(parser):
    assert read_options.given(parser.parse_args([])) == {}
    assert read_options.read_options(parser.parse_args([])) == ReadOptions()
    options = parser.parse_args(["--pattern", "(?P<class>x)", "--max-unreadable", "0.5"])
    assert read_options.given(options) == {"pattern": "(?P<class>x)", "max_unreadable": 0.5}
    assert read_options.read_options(options) == ReadOptions(pattern="(?P<class>x)", max_unreadable=0.5)
    with pytest.raises(SystemExit):
        parser.parse_args(["--test-split", "0.2"])


def test_impossible_options_are_refused_before_images_are_read(parser):
    with raises(ValueError, "pattern", "'x'"):
        read_options.read_options(parser.parse_args(["--pattern", "x"]))
    with raises(ValueError, "max_unreadable", "2.0"):
        read_options.read_options(parser.parse_args(["--max-unreadable", "2"]))


def test_the_help_ends_with_the_default(parser):
    text = " ".join(parser.format_help().split())
    assert "Default: 0.1." in text
    assert "Default: none." in text


def test_a_switch_has_two_forms():
    parser = argparse.ArgumentParser()
    read_options.add_read_options(parser, "near_duplicates")
    for words, expected in ([], True), (["--near-duplicates"], True), (["--no-near-duplicates"], False):
        assert read_options.read_options(parser.parse_args(words)).near_duplicates is expected
