"""Tables and numbers in Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from math import floor, log10
from statistics import mean, stdev


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown; a vertical bar in a cell is escaped.

    Args:
        header: Titles of the columns.
        rows: Rows of cells.

    Returns:
        Lines, with a newline at the end.

    Raises:
        ValueError: If a row has another number of cells than the header.
    """
    lines = [header, ["---"] * len(header), *rows]
    for row in lines:
        if len(row) != len(header):
            raise ValueError(f"expected {len(header)} cells ({', '.join(header)}), got {len(row)} ({', '.join(row)}).")
    escaped = ([cell.replace("|", "\\|") for cell in row] for row in lines)
    return "".join("|" + "|".join(f" {cell} " if cell else " " for cell in row) + "|\n" for row in escaped)


def span(values: Iterable[float], unit: str = "", *, digits: int = 2) -> str:
    """Return the range of positive numbers, such as ``2.4 to 2.5``, with digits that mean something.

    A number has fewer digits where the numbers differ by more than the last digit says, but at least one.

    Args:
        values: The numbers, at least one.
        unit: Written once, after the numbers.
        digits: Significant digits of the greatest number.

    Returns:
        One number where all are written alike, otherwise the least and the greatest.
    """
    numbers = sorted(values)
    low, high = numbers[0], numbers[-1]
    decimals = digits - 1 - floor(log10(high))
    if high > low:
        decimals = min(decimals, max(-floor(log10((high - low) / 2)), -floor(log10(low))))
    first, last = (f"{round(number, decimals):.{max(decimals, 0)}f}" for number in (low, high))
    return (first if first == last else f"{first} to {last}") + (f" {unit}" if unit else "")


def percent(share: float) -> str:
    """Return a share, 0..1, in percent."""
    return f"{100 * share:.1f} %"


def percents(shares: Sequence[float]) -> str:
    """Return mean, least, greatest and standard deviation of shares, such as ``97.2 % (96.6 to 97.9, sd 0.7)``."""
    if len(shares) == 1:
        return percent(shares[0])
    low, high = 100 * min(shares), 100 * max(shares)
    return f"{percent(mean(shares))} ({low:.1f} to {high:.1f}, sd {100 * stdev(shares):.1f})"


def count(number: int, noun: str) -> str:
    """Return a number and its noun, such as ``2 sessions``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def unbroken(text: str) -> str:
    """Return a text whose numbers are not parted from their units, nor ranges in the middle, in narrow columns."""
    return re.sub(r"(?<=\d) (?=to \d|%|ms\b|s\b)|(?<=\d to) (?=\d)", "\N{NO-BREAK SPACE}", text)
