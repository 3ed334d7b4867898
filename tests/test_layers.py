"""The shape of the package: imports point down only, few modules know TensorFlow, only the command line prints."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "resnet50"
# Lowest first: a room may import those before it.
ROOMS = [
    "_io",
    "conventions",
    "blocks",
    "forms",
    "heads",
    "weights",
    "model",
    "build",
    "data",
    "datasets",
    "audit",
    "graph",
    "uncertainty",
    "inference",
    "serving",
    "metrics",
    "plots",
    "reports",
    "training",
    "recipes",
    "evaluation",
    "anatomy",
    "comparison",
    "exporters",
    "profiling",
    "app",
    "cli",
]
RANK = {name: rank for rank, name in enumerate(ROOMS)}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or not path.name.startswith("__"))
TENSORFLOW = {"fused.py", "gradients.py", "saved_model.py", "litert.py", "litert_metadata.py", "runtimes.py"}


def imports(path: Path) -> set[str]:
    """Every module that a file imports anywhere, but for those that only a type checker sees."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = []
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def test_every_room_has_its_place():
    assert {room(path) for path in MODULES} == set(ROOMS)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_point_down(path):
    here = room(path)
    for name in imports(path):
        if name.startswith("resnet50."):
            there = name.split(".")[1]
            assert there == here or RANK[there] < RANK[here], f"{here} imports {name}"


def test_few_modules_know_tensorflow():
    knows = {path.name for path in MODULES if any(name.split(".")[0] == "tensorflow" for name in imports(path))}
    assert knows == TENSORFLOW


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_only_the_command_line_prints_and_nothing_asserts(path):
    for node in ast.walk(ast.parse(path.read_text())):
        assert not isinstance(node, ast.Assert)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and room(path) != "cli":
            assert node.func.id not in ("print", "exit", "quit")
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name for alias in node.names} | {getattr(node, "module", None)}
            assert not names & {"pickle", "marshal", "shelve", "dill"}
            # it takes instructions apart; the one that reads PyTorch's files runs a few harmless ones itself
            assert path.name == "torch_pickle.py" or "pickletools" not in names


@pytest.mark.parametrize("path", [path for path in MODULES if room(path) == "cli"], ids=lambda path: path.stem)
def test_a_command_is_thin(path):
    """It parses, calls and prints; what it decides belongs to another room."""
    assert len(path.read_text().splitlines()) <= 110
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 40, node.name


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("__init__.py")), ids=lambda path: path.parent.name)
def test_a_room_says_what_belongs_there(path):
    assert ast.get_docstring(ast.parse(path.read_text()))
