"""The notebook on SIGNS runs from top to bottom, on few images and for one epoch."""

from __future__ import annotations

import re

import pytest

from factories import write_image
from resnet50.datasets.rendered_signs import write_rendered_signs

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning:jupyter_client.*")]


@pytest.mark.slow
def test_the_notebook_runs(tmp_path, run_notebook):
    write_rendered_signs(tmp_path, train=48, test=12)
    photo = write_image(tmp_path / "photo.jpg", size=(90, 70))
    outputs = run_notebook("signs.ipynb", tiny="resnet50.recipes.signs", DATA=str(tmp_path), EPOCHS=1, PHOTO=str(photo))
    # sheet, two blocks, network, curves, confusion matrix, mistakes, predictions
    assert outputs.images == 8
    assert re.search(r"rendered signs.*\b48\b.*\b12\b", outputs.printed)
    assert re.search(r"\d\.\d%.* 12 ", outputs.printed)  # the accuracy on the test images
    assert '"validation_split": 0.1' in outputs.printed  # the recipe
    assert '"batch_size": 64' in outputs.printed  # EPOCHS changes nothing else
    shares = [float(share) for share in re.findall(r"^[0-5]: (\d+\.\d)%$", outputs.printed, re.MULTILINE)]
    assert len(shares) == 3  # the most probable classes of the photo
    assert shares == sorted(shares, reverse=True)
    assert outputs.warned == ""
