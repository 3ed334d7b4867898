"""The page of the command line, from the parsers."""

from __future__ import annotations


def command_line_page() -> str:
    """Return the page."""
    return "# Command line\n"
