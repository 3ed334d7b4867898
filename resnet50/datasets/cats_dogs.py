"""Cats and dogs: photos of pets from Microsoft's Asirra challenge, published for a Kaggle competition.

25,000 labeled photos, half of each class, of many sizes. The competition's test photos have no labels, so a fifth of
the labeled ones becomes the test split; selections with folders ``train`` and ``test`` are read as they are. License:
none stated with the photos; the competition's rules apply.

Source: Elson, Douceur, Howell and Saul 2007, "Asirra: a CAPTCHA that exploits interest-aligned manual image
categorization".
"""

from __future__ import annotations

import os
from pathlib import Path

from resnet50._io.fetch import Progress
from resnet50.data.fit import Fit
from resnet50.data.options import ReadOptions
from resnet50.data.splits import DatasetSplits
from resnet50.datasets import folder


def load(
    path: str | os.PathLike[str] | None,
    *,
    image_size: int,
    fit: Fit | None = None,
    progress: Progress | None = None,
) -> DatasetSplits:
    """Read ``train/cats``, ``train/dogs`` and ``test/...``, or ``train/cat.0.jpg`` ... as in the competition."""
    if path is None:
        raise FileNotFoundError("cats-dogs: expected a folder with train and test, got no path.")
    if any(Path(path, "train").glob("cat.*.jpg")):
        options = ReadOptions(pattern=r"^(?P<class>cat|dog)\.")
        return folder.load(Path(path, "train"), image_size=image_size, fit=fit, options=options, progress=progress)
    return folder.load(path, image_size=image_size, fit=fit, progress=progress)
