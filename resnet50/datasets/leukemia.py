"""Leukemia: blood smears without and with acute lymphoblastic leukemia, from Taleqani Hospital, Tehran.

3,256 images of 89 patients, 224 x 224 pixels, in four class folders: Benign, Early, Pre and Pro. There is no test
split: a fifth becomes one. License: see the publisher's page, https://www.kaggle.com/datasets/mehradaria/leukemia.

Source: Aria, Ghaderzadeh, Bashash, Abolghasemi, Asadi and Hosseini 2021, "Acute Lymphoblastic Leukemia (ALL) image
dataset".
"""

from __future__ import annotations

import os
from pathlib import Path

from resnet50._io.fetch import Progress
from resnet50.data.fit import Fit
from resnet50.data.loading import load_dataset
from resnet50.data.splits import DatasetSplits


def load(
    path: str | os.PathLike[str] | None,
    *,
    image_size: int,
    fit: Fit | None = None,
    progress: Progress | None = None,
) -> DatasetSplits:
    """Read the folder of the four classes, or the published one, which has them in ``Original``."""
    if path is None:
        raise FileNotFoundError("leukemia: expected the folder of Benign, Early, Pre and Pro, got no path.")
    inside = Path(path, "Original")
    return load_dataset(inside if inside.is_dir() else path, image_size=image_size, fit=fit, progress=progress)
