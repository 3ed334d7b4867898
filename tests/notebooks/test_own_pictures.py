"""The notebook on one's own pictures runs from top to bottom, on drawn ones and for one epoch."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from PIL import Image

from factories import write_image

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "own_pictures.ipynb"


def run(tmp_path: Path, data: str | None, monkeypatch) -> tuple[str, int]:
    """Return what the notebook says, and how many pictures it shows."""
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    monkeypatch.setenv("RESNET50_CACHE", str(tmp_path / "cache"))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    (parameters,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ()))
    parameters.source = f"DATA = {data!r}\nSIDE = 32\nEPOCHS = 1"
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    said = "".join(output.get("text", "") for output in shown)
    return said, len([output for output in shown if "image/png" in output.get("data", {})])


@pytest.mark.filterwarnings("ignore::DeprecationWarning:jupyter_client.*")
def test_the_notebook_runs_on_its_stand_in(tmp_path, monkeypatch):
    said, pictures = run(tmp_path, None, monkeypatch)
    assert "broken.png" in said
    assert "again.png" in said  # the doctor finds the copy in another class
    assert re.search(r"\d\.\d%.* 72 ", said)  # the accuracy on the test pictures
    assert pictures == 5  # the sheet, the curves, the confusion, the explanation, the neighbours


@pytest.mark.filterwarnings("ignore::DeprecationWarning:jupyter_client.*")
def test_the_notebook_runs_on_a_folder_with_a_test_part(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    for part, count in (("train", 10), ("test", 4)):
        for name in ("fern", "moss"):
            for number in range(count):
                pixels = Image.fromarray(rng.integers(0, 256, (5, 5, 3)).astype("uint8"))
                write_image(tmp_path / "plants" / part / name / f"{number}.jpg", np.array(pixels.resize((40, 50))))
    said, pictures = run(tmp_path, str(tmp_path / "plants"), monkeypatch)
    assert "broken.png" not in said  # of the stand-in
    assert re.search(r"^training\b.*\b20\b.*\b2\b.*\ntest\b.*\b8\b.*\b2\b", said, re.MULTILINE)
    assert re.search(r"\d\.\d%.* 8 ", said)  # the accuracy on the test pictures
    assert "test/fern/0.jpg   " in said
    assert pictures == 5


def test_the_notebook_is_kept_without_pictures_of_others():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert not [output for cell in notebook.cells for output in cell.get("outputs", ())]
