"""Renew the table of results in ``README.md``, which stands between ``<!-- results -->`` and ``<!-- /results -->``.

Run: ``python docs/readme.py``, after a benchmark.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from generators.fragments import load_results
from generators.summary import readme_results

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- results -->\n", "<!-- /results -->"


def with_results(text: str, table: str) -> str:
    """Return a text with this table between its two markers.

    Args:
        text: The text.
        table: The table.

    Raises:
        ValueError: If the text does not have both markers, once and in order.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in after:
        raise ValueError(f"README.md: expected the lines {BEGIN.strip()} and {END} once, got another text; add them.")
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def main() -> None:
    """Write the file anew."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    path = ROOT / "README.md"
    table = readme_results(load_results(ROOT / "benchmarks" / "results"), "benchmarks/results/")
    path.write_text(with_results(path.read_text(encoding="utf-8"), table), encoding="utf-8")


if __name__ == "__main__":
    main()
