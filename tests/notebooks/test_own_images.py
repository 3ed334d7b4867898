"""The notebook on one's own images runs from top to bottom, on drawn ones and for one epoch."""

from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image

from factories import noise, write_image

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning:jupyter_client.*")]

IMAGES = 6  # sheet, curves, confusion matrix, explanation, nearest neighbors, predictions


@pytest.mark.slow
def test_the_notebook_runs_on_drawn_hands(run_notebook):
    outputs = run_notebook("own_images.ipynb", tiny="resnet50.recipes.folder", DATA=None, IMAGE_SIZE=32, EPOCHS=1)
    assert re.search(r"^left out: .*broken\.png", outputs.printed, re.MULTILINE)
    assert re.search(r"^    .*\bcopy\.png", outputs.printed, re.MULTILINE)  # the audit finds it in two classes
    assert re.search(r"\d\.\d%.* 72 ", outputs.printed)  # the accuracy on the test images
    assert outputs.images == IMAGES
    assert outputs.warned == ""


@pytest.mark.slow
def test_the_notebook_runs_on_a_folder_with_a_test_split(tmp_path, run_notebook):
    pixels = iter(noise(28, 5, 5, 3))
    for split, count in (("train", 10), ("test", 4)):
        for name in ("fern", "moss"):
            for number in range(count):
                enlarged = np.array(Image.fromarray(next(pixels)).resize((40, 50)))
                write_image(tmp_path / "plants" / split / name / f"{number}.jpg", enlarged)
    outputs = run_notebook(
        "own_images.ipynb", tiny="resnet50.recipes.folder", DATA=str(tmp_path / "plants"), IMAGE_SIZE=32, EPOCHS=1
    )
    assert "broken.png" not in outputs.printed  # of the drawn hands
    assert re.search(r"^train\b.*\b20\b.*\b2\b.*\ntest\b.*\b8\b.*\b2\b", outputs.printed, re.MULTILINE)
    assert re.search(r"\d\.\d%.* 8 ", outputs.printed)  # the accuracy on the test images
    assert "test/fern/0.jpg   " in outputs.printed  # a prediction
    assert outputs.images == IMAGES
    assert outputs.warned == ""
