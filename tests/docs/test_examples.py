"""Every command and every line of Python in README and documentation fits the package."""

from __future__ import annotations

import ast
import inspect
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from factories import tiny_recipe
from resnet50 import DatasetSplits, blocks, rendered_signs, train
from resnet50.cli import build_parser

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.joinpath("docs").rglob("*.md"))]

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def fences(page: Path, language: str) -> Iterator[str]:
    """Yield the blocks of code of a page that are in a language and are not included from a file."""
    for block in re.finditer(rf"^( *)```{language}\b[^\n]*\n(.*?)^\1```$", page.read_text("utf-8"), re.M | re.S):
        lines = [line.removeprefix(block[1]) for line in block[2].splitlines()]
        if not any(line.startswith("--8<--") for line in lines):
            yield "\n".join(lines)


def commands(page: Path) -> Iterator[list[str]]:
    """Yield the words after ``resnet50`` of each command of a page."""
    for block in fences(page, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if "resnet50" in words[:1] or "srun" in words[:1]:
                yield words[words.index("resnet50") + 1 :]


@each_page
def test_every_command_is_one_that_the_parser_takes(page, capsys):
    for words in commands(page):
        try:
            build_parser(words).parse_args(words)
        except SystemExit as stop:
            assert stop.code == 0, f"resnet50 {shlex.join(words)}: {capsys.readouterr().err}"


@each_page
def test_every_example_imports_what_is_there(page):
    for block in fences(page, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "resnet50":
                for alias in node.names:
                    assert hasattr(import_module(str(node.module)), alias.name), f"{node.module}.{alias.name}"


@each_page
def test_no_example_uses_an_undefined_name(page):
    """Examples of a page may build on one another; the blocks of README are checked against their source instead."""
    examples = [block for block in fences(page, "python") if not block.startswith("def bottleneck(")]
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F821", "--quiet", "-"]
    done = subprocess.run(command, input="\n".join(examples), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_blocks_in_readme_are_those_of_the_package():
    (shown,) = (block for block in fences(PAGES[0], "python") if block.startswith("def bottleneck("))
    functions = [node for node in ast.parse(shown).body if isinstance(node, ast.FunctionDef)]
    assert [function.name for function in functions] == ["bottleneck", "identity_block"]
    for function in functions:
        (real,) = ast.parse(inspect.getsource(inspect.unwrap(getattr(blocks, function.name)))).body
        assert isinstance(real, ast.FunctionDef)
        body = real.body[1:] if ast.get_docstring(real) else real.body
        assert [ast.dump(line) for line in function.body] == [ast.dump(line) for line in body]
        assert [name.arg for name in function.args.args] == [name.arg for name in real.args.args]
        assert [name.arg for name in function.args.kwonlyargs] == [name.arg for name in real.args.kwonlyargs]


@pytest.mark.slow
def test_the_first_example_of_readme_runs(capsys):
    exec(next(fences(PAGES[0], "python")), {})  # noqa: S102 - the example is ours
    printed = capsys.readouterr().out
    assert "conv5" in printed  # the summary
    assert printed.strip().endswith("]]")  # the probabilities


@pytest.mark.slow
def test_a_run_on_a_built_in_dataset_is_scored_on_its_training_images_as_the_page_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    small = DatasetSplits(*rendered_signs(train=24, test=12, image_size=32))
    train(tiny_recipe(epochs=2), small, out="runs/mine", progress=False)
    capsys.readouterr()
    (example,) = (block for block in fences(ROOT / "docs/explanation/batch_norm.md", "python") if "score(" in block)
    exec(example, {})  # noqa: S102 - the example is ours
    assert 0 <= float(capsys.readouterr().out) <= 1


def test_a_link_to_a_line_leads_to_the_definition_of_what_it_names():
    links = re.findall(r"\[`(\w+)`\]\(([\w/.]+\.py)#L(\d+)\)", PAGES[0].read_text("utf-8"))
    assert links
    for name, file, line in links:
        assert ROOT.joinpath(file).read_text("utf-8").splitlines()[int(line) - 1].startswith(f"def {name}(")


def test_readme_is_a_page():
    assert len(PAGES[0].read_text("utf-8").split()) <= 900


@pytest.mark.parametrize("page", PAGES[:2], ids=lambda page: page.name)
def test_every_link_to_a_file_leads_somewhere(page):
    text = page.read_text("utf-8")
    links = re.findall(r"\]\(([^)#:]+)\)", text) + re.findall(r"(?:src|srcset)=\"([^\":]+)\"", text)
    assert links
    assert [link for link in links if not ROOT.joinpath(link).exists()] == []
