"""The notebook on rocks runs from top to bottom, on made-up images and for one epoch."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from factories import write_image

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning:jupyter_client.*")]


def write_rocks(folder: Path) -> None:
    """Write four classes, five and four images of each, laid out as the published ones, and judgments of them."""
    rng = np.random.default_rng(0)
    for name, count, ending in (("360", 5, ""), ("120", 4, "_120")):
        for rock in ("I_Basalt", "I_Pumice", "M_Slate", "S_Rock Salt"):
            for number in range(count):
                pixels = Image.fromarray(rng.integers(0, 256, (4, 4, 3)).astype("uint8")).resize((40, 40))
                write_image(folder / f"{name} Rocks" / f"{rock}_{number}{ending}.jpg", np.array(pixels))
        np.savetxt(folder / f"mds_{name}.txt", rng.standard_normal((4 * count, 8)))


@pytest.mark.slow
def test_the_notebook_runs(tmp_path, run_notebook):
    write_rocks(tmp_path / "rocks")
    outputs = run_notebook("rocks.ipynb", tiny="resnet50.recipes.rocks", DATA="rocks", IMAGE_SIZE=32, EPOCHS=1)
    # a sheet for each category, the dimensions, the curves, both networks, the predictions
    assert outputs.images == 3 + 1 + 1 + 2 + 1
    assert re.search(r"^train\b.*\b20\b.*\b4\b", outputs.printed, re.MULTILINE)
    assert re.search(r"^test\b.*\b16\b.*\b4\b", outputs.printed, re.MULTILINE)
    for of in ("on 16 images", "of the 3 categories"):
        assert re.search(rf"^accuracy {of}: \d.*\d%", outputs.printed, re.MULTILINE)
    for network in ("untrained", "trained"):  # the correlation with people, by chance, and p
        (line,) = re.findall(rf"^{network}: .*", outputs.printed, re.MULTILINE)
        assert len(re.findall(r"-?\d\.\d+", line)) == 3
    assert len(re.findall(r"^true label: \w+", outputs.printed, re.MULTILINE)) == 3
    assert outputs.warned == ""
