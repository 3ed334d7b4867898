import csv
import io

import pytest

from resnet50._io.cells import harmless, restored


@pytest.mark.parametrize(
    "text", ["=1+1", "+cmd", "-x.png", "@sum", "\tx", "\rx", "\nx", "'=1", "''=1", "\uff1d1", '=HYPERLINK("a")']
)
def test_a_formula_becomes_text_and_is_restored(text):
    written = harmless(text)
    assert written == "'" + text
    assert restored(written) == text


@pytest.mark.parametrize("text", ["cat", "", "'quoted'", "a=b", "-1", "+1.5e-3", "-.5", "1", "'", "''"])
def test_other_text_and_numbers_stay(text):
    assert harmless(text) == text
    assert restored(text) == text


@pytest.mark.parametrize("number", [-1.5, -2, None])
def test_what_is_no_text_stays(number):
    assert harmless(number) is number


@pytest.mark.parametrize("text", ["-1e5x", "-1 ", "+", "--1", "-\u0661"])
def test_what_only_begins_like_a_number_is_text(text):
    assert harmless(text) == "'" + text


def test_a_table_keeps_its_values():
    rows, file = [["=a", "'=b", "-1", "b\nc"]], io.StringIO()
    csv.writer(file).writerows([harmless(cell) for cell in row] for row in rows)
    file.seek(0)
    assert [[restored(cell) for cell in row] for row in csv.reader(file)] == rows
