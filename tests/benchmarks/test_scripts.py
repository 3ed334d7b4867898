"""Nobody runs the benchmarks with every change, so these tests compare them with the package that they import."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

SCRIPTS = sorted((Path(__file__).parents[2] / "benchmarks").glob("*.py"))


def imports(tree):
    """Yield module and name of each import from the package, also in functions and in the text of other scripts."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "resnet50":
            yield from ((node.module, alias.name) for alias in node.names)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "\nfrom resnet50" in node.value:
            yield from imports(ast.parse(node.value))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_imports_what_there_is(path):
    if path.stem in ("batches", "training", "step_profile", "same_network"):
        pytest.importorskip("tensorflow", reason="it measures the fused operations, which are TensorFlow's")
    for name, attribute in imports(ast.parse(path.read_text())):
        module = import_module(name)
        is_module = hasattr(module, "__path__") and find_spec(f"{name}.{attribute}")
        assert hasattr(module, attribute) or is_module, (name, attribute)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_reads_its_arguments_before_it_measures(path):
    text = path.read_text()
    assert ("__main__" in text) == ("parse_args" in text)


def test_the_pages_name_options_that_the_scripts_have():
    root = SCRIPTS[0].parents[1]
    pages = [root / "README.md", *sorted((root / "docs" / "performance").glob("*.md"))]
    text = " ".join(" ".join(page.read_text(encoding="utf-8").split()) for page in pages)
    commands = re.findall(r"`python benchmarks/(\w+\.py)([^`]*)`", text)
    assert len({script for script, _ in commands}) > 10
    for script, words in commands:
        options = (SCRIPTS[0].parent / script).read_text(encoding="utf-8")
        assert [option for option in re.findall(r"--[a-z-]+", words) if f'"{option}"' not in options] == [], script
