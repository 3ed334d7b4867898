"""Cats and dogs (Elson et al. 2007, "Asirra", 25,000 labeled photos)."""

from __future__ import annotations

import os
from pathlib import Path

from resnet50._io.fetch import Progress
from resnet50.data.dataset import DatasetSplits
from resnet50.data.options import ReadOptions
from resnet50.datasets import folder


def load(path: str | os.PathLike[str] | None, *, image_size: int, progress: Progress | None = None) -> DatasetSplits:
    """Read the photos; where there is no test split, it is a fifth of them.

    Args:
        path: Folder with ``train/cats``, ``train/dogs``, ``test/cats`` and ``test/dogs``, or the competition's, whose
            ``train`` holds ``cat.0.jpg``, ``dog.0.jpg`` and so on.
        image_size: Height and width in pixels that every photo is brought to.
        progress: Called while photos are decoded.

    Returns:
        Training and test photos.

    Raises:
        FileNotFoundError: If nothing is there, or no path is given.
        ValueError: If there are no classes, or too many files cannot be read.
    """
    if path is None:
        raise FileNotFoundError("cats-dogs: expected a folder with train and test, got no path.")
    if any(Path(path, "train").glob("cat.*.jpg")):  # the competition's test photos have no labels
        options = ReadOptions(pattern=r"^(?P<class>cat|dog)\.")
        return folder.load(Path(path, "train"), image_size=image_size, options=options, progress=progress)
    return folder.load(path, image_size=image_size, progress=progress)
