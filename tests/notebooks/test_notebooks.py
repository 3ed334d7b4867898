"""Every notebook is stored without outputs, and uses only names that the package has."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = sorted(Path(__file__).resolve().parents[2].joinpath("notebooks").glob("*.ipynb"))

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (module, name) of everything that a notebook imports from the package."""
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            lines = [line for line in cell.source.splitlines() if not line.startswith("%")]
            for node in ast.walk(ast.parse("\n".join(lines))):
                if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "resnet50":
                    yield from ((str(node.module), alias.name) for alias in node.names)


def test_there_are_notebooks():
    assert len(NOTEBOOKS) == 4


@each_notebook
def test_a_notebook_is_stored_without_outputs(path):
    """The datasets' images may not be passed on."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert not [output for cell in notebook.cells for output in cell.get("outputs", ())]


@each_notebook
def test_a_notebook_imports_what_the_package_has(path):
    names = list(imports(path))
    assert names
    for module, name in names:
        assert not any(part.startswith("_") for part in (*module.split("."), name)), f"{module}.{name} is private"
        assert hasattr(import_module(module), name), f"{module} has no {name}"
