"""Running notebooks from their files, with parameters of the test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


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


@pytest.fixture
def run_notebook(tmp_path, monkeypatch) -> Callable[..., Outputs]:
    """Run a notebook from top to bottom in the test's folder; parameters replace those of its parameter cell."""

    def run(name: str, **parameters: Any) -> Outputs:
        monkeypatch.setenv("RESNET50_CACHE", str(tmp_path / "cache"))
        monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)  # the package starts Keras silently by itself
        notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
        (cell,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ()))
        names = {line.split(" = ")[0] for line in cell.source.splitlines()}
        assert names == set(parameters)
        cell.source = "\n".join(f"{parameter} = {value!r}" for parameter, value in parameters.items())
        NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
        outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
        texts = {
            stream: "".join(output.text for output in outputs if output.get("name") == stream)
            for stream in ("stdout", "stderr")
        }
        images = sum("image/png" in output.get("data", {}) for output in outputs)
        return Outputs(texts["stdout"], texts["stderr"], images)

    return run
