"""Leukemia (Aria et al. 2021, "Acute Lymphoblastic Leukemia (ALL) image dataset", 3256 blood smears)."""

from __future__ import annotations

import os
from pathlib import Path

from resnet50._io.fetch import Progress
from resnet50.data.dataset import DatasetSplits
from resnet50.data.loading import load_dataset


def load(path: str | os.PathLike[str] | None, *, image_size: int, progress: Progress | None = None) -> DatasetSplits:
    """Read the images; a fifth becomes the test split.

    Args:
        path: Folder with Benign, Early, Pre and Pro, or the published one, which has them in ``Original``.
        image_size: Height and width in pixels that every image is brought to.
        progress: Called while images are decoded.

    Returns:
        Training and test images.

    Raises:
        FileNotFoundError: If nothing is there, or no path is given.
        ValueError: If there are no class folders, or too many files cannot be read.
    """
    if path is None:
        raise FileNotFoundError("leukemia: expected the folder of Benign, Early, Pre and Pro, got no path.")
    inside = Path(path, "Original")
    return load_dataset(inside if inside.is_dir() else path, image_size=image_size, progress=progress)
