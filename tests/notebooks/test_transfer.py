"""The notebook on transfer runs from top to bottom, on random weights, few pictures and for one epoch a phase."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from resnet50.data.rendered_signs import write_rendered_signs

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "transfer.ipynb"


@pytest.mark.filterwarnings("ignore::DeprecationWarning:jupyter_client.*")
def test_the_notebook_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    write_rendered_signs(tmp_path, train=72, test=12)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    (parameters,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ()))
    parameters.source = f"WEIGHTS = None\nDATA = {str(tmp_path)!r}\nEPOCHS = 1"
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert len([output for output in shown if "image/png" in output.get("data", {})]) == 1
    said = "".join(output.get("text", "") for output in shown)
    assert "random ones stand in" in said
    assert "torchvision: 107 layers, conventions v1.5, normalization 'torch'" in said
    assert "106 layers loaded, 1 kept as they were" in said
    assert "1000 classes in the file, 6 in the model" in said
    assert "statistics unchanged: True" in said
    assert "107 layers loaded, 0 kept" in said


def test_the_notebook_is_kept_without_data_of_others():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert not [output for cell in notebook.cells for output in cell.get("outputs", ())]
