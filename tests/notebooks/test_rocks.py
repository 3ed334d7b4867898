"""The notebook on rocks runs from top to bottom, on made-up pictures and for one epoch."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from PIL import Image

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "rocks.ipynb"


def write_rocks(folder: Path) -> None:
    """Write four kinds, five and four pictures of each, laid out as the published ones, and judgements of them."""
    rng = np.random.default_rng(0)
    for name, count, ending in (("360", 5, ""), ("120", 4, "_120")):
        (folder / f"{name} Rocks").mkdir()
        for kind in ("I_Basalt", "I_Pumice", "M_Slate", "S_Rock Salt"):
            for number in range(count):
                pixels = Image.fromarray(rng.integers(0, 256, (4, 4, 3)).astype("uint8"))
                pixels.resize((40, 40)).save(folder / f"{name} Rocks" / f"{kind}_{number}{ending}.jpg")
        np.savetxt(folder / f"mds_{name}.txt", rng.standard_normal((4 * count, 8)))


@pytest.mark.filterwarnings("ignore::DeprecationWarning:jupyter_client.*")
def test_the_notebook_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    monkeypatch.setenv("RESNET50_CACHE", str(tmp_path / "cache"))
    write_rocks(tmp_path)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    (parameters,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ()))
    parameters.source = f"DATA = {str(tmp_path)!r}\nSIDE = 32\nEPOCHS = 1"
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    # a sheet for each category, the dimensions, the curves, both networks
    assert len([output for output in shown if "image/png" in output.get("data", {})]) == 3 + 1 + 1 + 2
    said = "".join(output.get("text", "") for output in shown)
    assert re.search(r"^training\b.*\b20\b.*\b4\b", said, re.MULTILINE)
    assert re.search(r"^test\b.*\b16\b.*\b4\b", said, re.MULTILINE)
    for classes in (4, 3):  # the accuracy by kind and by category
        assert re.search(rf"\b{classes}\b.*\d\.\d%", said)
    for line in said.splitlines()[-2:]:  # the correlation with people of both networks
        assert len(re.findall(r"-?\d\.\d+", line)) == 3


def test_the_notebook_is_kept_without_data_of_others():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert not [output for cell in notebook.cells for output in cell.get("outputs", ())]
