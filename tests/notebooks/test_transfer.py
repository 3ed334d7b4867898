"""The notebook on transfer runs from top to bottom, on random weights, few pictures and for one epoch a phase."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from resnet50 import build_resnet50, save_weights
from resnet50.data.rendered_signs import write_rendered_signs

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "transfer.ipynb"


@pytest.mark.filterwarnings("ignore::DeprecationWarning:jupyter_client.*")
@pytest.mark.parametrize("layout", ["torchvision", "keras"])
def test_the_notebook_runs(layout, tmp_path, monkeypatch):
    """On its stand-in, and on a file of the first weights that it proposes."""
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    weights, read = None, r"\btorchvision\b.*\b107\b.*\bv1\.5\b.*'torch'"
    if layout == "keras":
        weights, read = str(tmp_path / "imagenet.h5"), r"\bkeras\b.*\b107\b.*\bv1\b(?!\.5).*'caffe'"
        model = build_resnet50(1000, normalization="caffe")
        model.get_layer("conv1_bn").moving_variance.assign([1e4] * 64)  # as frozen statistics fit pixels up to 255
        save_weights(model, weights, layout="keras")
    write_rendered_signs(tmp_path, train=72, test=12)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    (parameters,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ()))
    parameters.source = f"WEIGHTS = {weights!r}\nDATA = {str(tmp_path)!r}\nEPOCHS = 1"
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert len([output for output in shown if "image/png" in output.get("data", {})]) == 1
    said = "".join(output.get("text", "") for output in shown)
    assert ("random.safetensors" in said) == (weights is None)
    assert re.search(read, said)
    assert re.search(r"\b106\b.*\b1\b", said)  # layers that were loaded, and that were kept
    assert re.search(r"\bpredictions\b.*\b1000\b.*\b6\b", said)
    # the head alone; then every convolution and the head, but no batch norm
    assert re.search(r"\b12,294\b.*\{'conv1': 0, 'conv2': 0, ", said)
    assert "{'conv1': 1, 'conv2': 10, 'conv3': 13, 'conv4': 19, 'conv5': 10, 'head': 1}" in said
    assert "True" in said  # the statistics are unchanged
    assert "False" not in said
    assert re.search(r"\b107\b.*\b0\b", said)  # layers of the saved network that were loaded, and that were kept


def test_the_notebook_is_kept_without_data_of_others():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert not [output for cell in notebook.cells for output in cell.get("outputs", ())]
