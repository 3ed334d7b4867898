"""The site builds strictly, and asks nothing of other places."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The built site."""
    folder = tmp_path_factory.mktemp("site")
    for command in (["docs/assemble.py"], ["-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]):
        done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_no_page_asks_anything_of_another_place(site):
    for page in site.rglob("*.html"):
        requests = re.findall(
            r"<(?:script|img|iframe|source|link)\b[^>]*(?:src|srcset|href)=\"?(https?:[^\"> ]+)",
            page.read_text("utf-8"),
        )
        assert requests == [], page
    for sheet in site.joinpath("assets").rglob("*.css"):
        assert not re.search(r"url\(['\"]?https?:", sheet.read_text("utf-8")), sheet


def test_the_pages_can_be_searched(site):
    places = json.loads(site.joinpath("search", "search_index.json").read_text("utf-8"))["docs"]
    for words, page in (("identity_block", "network/index.html"), ("--label-smoothing", "reference/command_line.html")):
        assert any(words in place["text"] and place["location"].startswith(page) for place in places), words


def test_the_page_on_the_folder_is_no_page_of_the_site(site):
    assert site.joinpath("index.html").exists()
    assert not list(site.rglob("README*"))


def test_no_page_is_a_stub(site):
    for page in ROOT.joinpath("docs").rglob("*.md"):
        assert len(page.read_text("utf-8").split()) > 60, page
