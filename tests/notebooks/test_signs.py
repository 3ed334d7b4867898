"""The notebook runs from top to bottom, on few pictures and for one epoch."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from resnet50.data.rendered_signs import write_rendered_signs

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "signs.ipynb"


@pytest.mark.filterwarnings("ignore::DeprecationWarning:jupyter_client.*")
def test_the_notebook_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    write_rendered_signs(tmp_path, train=48, test=12)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    (parameters,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ()))
    parameters.source = f"DATA = {str(tmp_path)!r}\nEPOCHS = 1\nPHOTO = None"
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    pictures = [output for output in shown if "image/png" in output.get("data", {})]
    assert len(pictures) == 7
    said = "".join(output.get("text", "") for output in shown)
    assert re.search(r"rendered signs.*\b48\b.*\b12\b", said)
    assert re.search(r"\d\.\d%.* 12 ", said)  # the accuracy on the test pictures
    assert "WARNING" not in said


def test_the_notebook_is_kept_without_data_of_others():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    said = "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", ()))
    assert not re.search(r"^SIGNS\b", said, re.MULTILINE)  # its photos may not be passed on
