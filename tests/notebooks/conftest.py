"""The script that executes notebooks, and a way to run one with parameters of the test."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import astuple, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import nbformat
import pytest

from factories import TINY_STAGES

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


TINY_RECIPE = """
import {module} as module
module.RECIPE = module.RECIPE.change(stages={stages})
"""

TINY_NETWORK = """
import functools
import resnet50
from resnet50.model import Stage
rows = [Stage(*row) for row in {stages}]
resnet50.build_resnet50 = functools.partial(resnet50.build_resnet50, stages=rows)
resnet50.Recipe = functools.partial(resnet50.Recipe, stages={stages})
"""


@dataclass(frozen=True)
class Outputs:
    """What a notebook has shown.

    Attributes:
        printed: Text on standard output.
        warned: Text on standard error.
        images: Number of images.
    """

    printed: str
    warned: str
    images: int


@pytest.fixture(scope="session")
def script() -> ModuleType:
    """The module ``notebooks/execute.py``."""
    specification = importlib.util.spec_from_file_location("execute_notebooks", NOTEBOOKS / "execute.py")
    module = importlib.util.module_from_spec(specification)
    sys.modules[module.__name__] = module  # its dataclasses look for it there
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def run_notebook(tmp_path, monkeypatch, script) -> Callable[..., Outputs]:
    """Run a notebook from top to bottom in the test's folder; parameters replace those of its parameter cell.

    ``tiny`` names a module of recipes whose network is made tiny before the first cell, which saves a minute; "" is for
    a notebook that builds its network and its recipe itself.
    """

    def run(name: str, *, tiny: str | None = None, **parameters: Any) -> Outputs:
        monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)  # the package starts Keras silently by itself
        notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
        (cell,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ()))
        assert {line.split(" = ")[0] for line in cell.source.splitlines()} == set(parameters)
        if tiny is not None:
            stages = tuple(map(astuple, TINY_STAGES))
            lines = (TINY_RECIPE if tiny else TINY_NETWORK).format(module=tiny, stages=stages)
            notebook.cells.insert(0, nbformat.v4.new_code_cell(lines))
        with script.parameters(notebook, parameters):
            script.execute(notebook, tmp_path, name=name)
        outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
        texts = {
            stream: "".join(output.text for output in outputs if output.get("name") == stream)
            for stream in ("stdout", "stderr")
        }
        images = sum("image/png" in output.get("data", {}) for output in outputs)
        return Outputs(texts["stdout"], texts["stderr"], images)

    return run
