from __future__ import annotations

import argparse

import numpy as np
import pytest

from resnet50.cli import source
from resnet50.data.split import Split


def test_only_what_was_said_of_how_to_read_is_given_on():
    parser = argparse.ArgumentParser()
    source.add_how_arguments(parser, "pattern", "most_unreadable")
    assert source.how_to_read(parser.parse_args([])) == {}
    options = parser.parse_args(["--pattern", "x", "--most-unreadable", "0.5"])
    assert source.how_to_read(options) == {"pattern": "x", "most_unreadable": 0.5}
    with pytest.raises(SystemExit):
        parser.parse_args(["--test", "0.2"])


def test_a_part_is_told_with_a_number_for_each_class():
    split = Split(np.zeros((3, 2, 2, 3), np.uint8), np.array([2, 0, 2]), ("a", "b", "c"), ("x", "y", "z"), "d")
    assert source.counts("validation", split) == "validation      3 pictures   a: 1  b: 0  c: 2"
