"""Assemble the pages of the documentation in ``build/docs`` and the parts that they include in ``build/fragments``.

Pages come from ``docs/``, ``notebooks/``, ``images/``, ``CHANGELOG.md`` and ``CONTRIBUTING.md``. What can be derived is
not written by hand: the page of the command line comes from the parsers, tables from ``benchmarks/results/``.
A page includes a part with the line ``--8<-- "NAME.md"``.

Run: ``make docs``, which builds the site after it.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from generators.command_line import command_line_page
from generators.format_tables import format_tables
from generators.fragments import write_fragments
from generators.name_tables import name_tables
from generators.network import network_fragments
from generators.notebook import write_notebook_page
from generators.source import source_fragments

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "build" / "docs"
FRAGMENTS = ROOT / "build" / "fragments"
RESULTS = ROOT / "benchmarks" / "results"


def main() -> None:
    """Write all pages and fragments anew."""
    for folder in (PAGES, FRAGMENTS):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    others = shutil.ignore_patterns("*.py", "__pycache__", "README.md")  # README.md is for readers of docs/ itself
    shutil.copytree(ROOT / "docs", PAGES, dirs_exist_ok=True, ignore=others)
    shutil.copytree(ROOT / "images", PAGES / "images")
    shutil.copytree(RESULTS, PAGES / "performance" / "results")
    write_fragments(RESULTS, FRAGMENTS)
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        write_notebook_page(notebook, PAGES / "tutorials")
    write(PAGES / "changelog.md", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    write(PAGES / "contributing" / "index.md", relinked(ROOT / "CONTRIBUTING.md", "contributing/"))
    write(PAGES / "reference" / "command_line.md", command_line_page())
    for page, table in name_tables().items():
        write(FRAGMENTS / "names" / page, table)
    for name, table in format_tables().items():
        write(FRAGMENTS / "formats" / f"{name}.md", table)
    for name, code in source_fragments(ROOT).items():
        write(FRAGMENTS / "source" / name, code)
    for name, table in network_fragments(ROOT).items():
        write(FRAGMENTS / "network" / name, table)


def relinked(path: Path, folder: str) -> str:
    """Return a page of the repository's root with its links to ``docs/`` as seen from ``folder`` of the site."""
    up = "../" * folder.count("/")
    return re.sub(r"\]\(docs/", f"]({up}", path.read_text(encoding="utf-8"))


def write(path: Path, text: str) -> None:
    """Write a page or a fragment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
