from __future__ import annotations

import pytest

from factories import raises
from generators.markdown import count, percent, percents, span, table, unbroken


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([2.37, 2.51], "2.4 to 2.5"),
        ([2.51, 2.37], "2.4 to 2.5"),
        ([2.509], "2.5"),
        ([2.511, 2.509], "2.5"),  # two digits tell them apart no more
        ([27.44, 29.22], "27 to 29"),
        ([5.34, 7.14], "5.3 to 7.1"),
        ([6.36, 10.08], "6 to 10"),  # they differ by far more than a tenth
        ([413, 2228], "400 to 2200"),
        ([37.6, 200.7], "40 to 200"),  # and neither becomes 0
        ([0.985, 1.016], "1.0"),
        ([191.8], "190"),
        ([0.1071], "0.11"),
        ([1076.4], "1100"),
    ],
)
def test_a_range_has_no_more_digits_than_its_numbers_allow(values, words):
    assert span(values) == words


def test_a_range_may_have_more_digits_and_has_its_unit_once():
    assert span(iter([965.4, 982.6]), "MiB", digits=3) == "965 to 983 MiB"


def test_shares_are_written_in_percent():
    assert percent(0.875) == "87.5 %"
    assert percents([0.975, 0.975, 1.0]) == "98.3 % (97.5 to 100.0, sd 1.4)"
    assert percents([0.5]) == "50.0 %"


def test_nouns_follow_their_number():
    assert [count(number, "session") for number in (0, 1, 2)] == ["0 sessions", "1 session", "2 sessions"]


def test_a_table_has_a_line_for_each_row():
    assert table(["", "speed"], [["ours", "2"], ["", "1"]]) == "| | speed |\n| --- | --- |\n| ours | 2 |\n| | 1 |\n"


def test_a_row_that_is_too_short_is_refused():
    with raises(ValueError, 2, "speed", 1, "ours"):
        table(["", "speed"], [["ours"]])


def test_ranges_and_units_stay_together_in_narrow_columns():
    assert unbroken("| 5.3 to 7.1 ms | 97.2 % (96.6 to 97.9, sd 0.7) | 2 sessions | 4 to do |") == (
        "| 5.3\xa0to\xa07.1\xa0ms | 97.2\xa0% (96.6\xa0to\xa097.9, sd 0.7) | 2 sessions | 4 to do |"
    )
