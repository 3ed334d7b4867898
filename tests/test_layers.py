"""The shape of the package: imports point down only, four modules know TensorFlow, only the command line prints."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "resnet50"
# Lowest first; what stands on one line may not import its neighbors.
LAYERS = [
    {"files", "download", "blocks"},
    {"heads", "weights", "data"},
    {"model"},
    {"runtimes"},
    {"classifier"},
    {"evaluation"},
    {"figures"},
    {"report"},
    {"training"},
    {"recipes"},
    {"inference"},
    {"benchmark"},
    {"cli"},
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.name not in ("__main__.py",) and path.parent != PACKAGE)
MODULES += sorted(path for path in PACKAGE.glob("*.py") if not path.name.startswith("__"))


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


def part(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def test_every_part_has_its_place():
    assert {part(path) for path in MODULES} == set(RANK)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_point_down(path):
    here = part(path)
    for name in imports(path):
        if name.startswith("resnet50."):
            there = name.split(".")[1]
            assert there == here or RANK[there] < RANK[here], f"{here} imports {name}"


def test_four_modules_know_tensorflow():
    knows = {path.name for path in MODULES if any(name.split(".")[0] == "tensorflow" for name in imports(path))}
    assert knows == {"fused.py", "gradients.py", "export.py", "runtimes.py"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_only_the_command_line_prints_and_nothing_asserts(path):
    for node in ast.walk(ast.parse(path.read_text())):
        assert not isinstance(node, ast.Assert)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and part(path) != "cli":
            assert node.func.id not in ("print", "exit", "quit")
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name for alias in node.names} | {getattr(node, "module", None)}
            assert not names & {"pickle", "marshal", "shelve", "dill"}
            # it takes instructions apart; the one that reads PyTorch's files runs a few harmless ones itself
            assert path.name == "torch_pickle.py" or "pickletools" not in names
