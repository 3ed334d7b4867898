from __future__ import annotations

import argparse
import re

import pytest

from factories import dataset
from resnet50.cli import source


def test_only_what_was_said_of_how_to_read_is_given_on():
    parser = argparse.ArgumentParser()
    source.add_how_arguments(parser, "pattern", "most_unreadable")
    assert source.how_to_read(parser.parse_args([])) == {}
    options = parser.parse_args(["--pattern", "x", "--most-unreadable", "0.5"])
    assert source.how_to_read(options) == {"pattern": "x", "most_unreadable": 0.5}
    with pytest.raises(SystemExit):
        parser.parse_args(["--test", "0.2"])


def test_a_part_is_told_with_a_number_for_each_class():
    told = source.counts("validation", dataset([2, 0, 2], ("a", "b", "c")))
    assert told.split()[:2] == ["validation", "3"]
    assert re.findall(r"(\w+): (\d+)", told) == [("a", "1"), ("b", "0"), ("c", "2")]
    assert "\n" not in told
