"""Excerpts of the source on the pages: cut by name, and a name that is gone breaks the build."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from factories import raises
from generators.source import EXCERPTS, Excerpt, cut, source_fragments

ROOT = Path(__file__).resolve().parents[2]

MODULE = '''"""A module."""

import os


@decorated(
    1
)
def double(x: int) -> int:
    """Return twice a number.

    Args:
        x: The number.
    """

    # why
    first, second = (x, x) if x else (0, 0)
    return first + second


@dataclass(frozen=True)
class Row:
    """A row."""

    name: str

    def upper(self) -> str:
        """Shout."""
        return self.name.upper()


class Empty(Exception):
    """Nothing but a docstring."""


TABLE = (
    #   name
    Row("a"),  # the first
    Row("b"),
)
"""The rows."""

LIMIT: int = 3
'''


@pytest.fixture
def root(tmp_path):
    (tmp_path / "module.py").write_text(MODULE)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "inside", "expected"),
    [
        (
            "double",
            "",
            "def double(x: int) -> int:\n    # why\n    first, second = (x, x) if x else (0, 0)\n"
            "    return first + second\n",
        ),
        ("double", "second", "first, second = (x, x) if x else (0, 0)\n"),
        ("Row", "name", "name: str\n"),
        ("Row", "upper", "def upper(self) -> str:\n    return self.name.upper()\n"),
        ("Empty", "", 'class Empty(Exception):\n    """Nothing but a docstring."""\n'),
        ("TABLE", "", 'TABLE = (\n    #   name\n    Row("a"),  # the first\n    Row("b"),\n)\n'),
        ("LIMIT", "", "LIMIT: int = 3\n"),
    ],
)
def test_a_part_is_cut_out_by_its_name(name, inside, expected, root):
    assert cut(root, Excerpt("module.py", name, inside)) == expected


@pytest.mark.parametrize(
    ("name", "inside", "missing"),
    [("triple", "", "triple"), ("os", "", "os"), ("double", "third", "third"), ("TABLE", "x", "x")],
)
def test_a_name_that_is_not_there_is_refused(name, inside, missing, root):
    with raises(ValueError, "module.py", missing):
        cut(root, Excerpt("module.py", name, inside))


def test_a_renamed_function_breaks_the_build(tmp_path):
    shutil.copytree(ROOT / "resnet50", tmp_path / "resnet50", ignore=shutil.ignore_patterns("__pycache__"))
    blocks = tmp_path / "resnet50" / "blocks.py"
    blocks.write_text(blocks.read_text(encoding="utf-8").replace("def bottleneck(", "def narrow_and_widen("))
    with raises(ValueError, "resnet50/blocks.py", "bottleneck"):
        source_fragments(tmp_path)


def test_every_line_of_a_fragment_is_one_of_its_file():
    for name, code in source_fragments(ROOT).items():
        lines = [line.strip() for line in (ROOT / EXCERPTS[name].file).read_text(encoding="utf-8").splitlines()]
        assert code.strip(), name
        assert [line for line in code.splitlines() if line.strip() not in lines] == [], name


def test_each_block_is_shown_with_its_equation_and_without_the_text_that_the_page_has():
    fragments = source_fragments(ROOT)
    assert "return add_relu(x, residual(" in fragments["identity_block.py"]
    assert "return add_relu(shortcut, residual(" in fragments["convolutional_block.py"]
    assert not [name for name, code in fragments.items() if '"""' in code]


def test_pages_include_fragments_that_there_are_and_no_fragment_is_left_over():
    pages = "\n".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs" / "network").glob("*.md"))
    included = set(re.findall(r'--8<-- "source/(.+?)"', pages))
    assert included == set(EXCERPTS)
