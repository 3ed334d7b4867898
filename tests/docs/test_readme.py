from __future__ import annotations

from pathlib import Path

import pytest

from factories import raises
from generators.fragments import load_results
from generators.summary import readme_results
from readme import with_results

ROOT = Path(__file__).parents[2]


def test_the_table_replaces_what_is_between_the_markers():
    text = "before\n\n<!-- results -->\nold\ntable\n<!-- /results -->\n\nafter\n"
    renewed = with_results(text, "| new |\n")
    assert renewed == "before\n\n<!-- results -->\n\n| new |\n\n<!-- /results -->\n\nafter\n"
    assert with_results(renewed, "| new |\n") == renewed


@pytest.mark.parametrize(
    "text",
    [
        "no markers\n",
        "<!-- results -->\nno end\n",
        "<!-- /results -->\n<!-- results -->\n",
        "<!-- results -->\n<!-- results -->\n<!-- /results -->\n",
    ],
)
def test_a_text_without_both_markers_is_refused(text):
    with raises(ValueError, "README.md", "<!-- results -->", "<!-- /results -->"):
        with_results(text, "| new |\n")


def test_the_readme_has_the_table_of_the_result_files():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme_results(load_results(ROOT / "benchmarks" / "results"), "benchmarks/results/")
    assert with_results(text, table) == text, "renew it with: python docs/readme.py"
