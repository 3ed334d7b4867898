"""The pages for contributors: their changes apply to this checkout, and their tables are those of the code."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs" / "contributing").glob("*.md"))


def changes(page: Path) -> str:
    return "".join(re.findall(r"```diff\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_changes_of_a_page_apply(page):
    if shutil.which("git") is None:
        pytest.skip("there is no git")
    files = re.findall(r"^\+\+\+ b/(\S+)$", changes(page), re.MULTILINE)
    assert any(name.startswith("resnet50/") for name in files)
    assert any(name.startswith("tests/") for name in files)
    done = subprocess.run(
        ["git", "apply", "--check", "-"], input=changes(page), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_rooms_stand_in_the_order_of_their_imports():
    tree = (ROOT / "tests" / "test_layers.py").read_text(encoding="utf-8")
    rooms = re.findall(r'"(\w+)"', re.search(r"ROOMS = \[(.*?)\]", tree, re.DOTALL)[1])
    table = re.findall(r"^\| (`.*?) \|", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert re.findall(r"`(\w+)`", " ".join(table)) == rooms
