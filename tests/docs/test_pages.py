"""The pages of the site: each is in ``docs/``, or ``docs/README.md`` says what it is made from."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def test_a_reader_of_the_folder_is_told_which_pages_the_build_makes():
    navigation = (ROOT / "mkdocs.yml").read_text("utf-8").partition("\nnav:\n")[2]
    pages = set(re.findall(r"[\w/]+\.md$", navigation, re.M))
    assert len(pages) > 50
    table = [line for line in DOCS.joinpath("README.md").read_text("utf-8").splitlines() if line.startswith("| `")]
    made = set(re.findall(r"`([\w/]+\.md)`", "\n".join(line.split("|")[1] for line in table)))
    assert made == {page for page in pages if not DOCS.joinpath(page).exists()}


def test_links_of_the_folders_page_lead_somewhere():
    links = re.findall(r"\]\(([^)#:]+)\)", DOCS.joinpath("README.md").read_text("utf-8"))
    assert links
    assert [link for link in links if not DOCS.joinpath(link).exists()] == []
