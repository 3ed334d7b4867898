"""CIFAR-10 (Krizhevsky 2009, "Learning multiple layers of features from tiny images")."""

from __future__ import annotations

import os

from resnet50._io.fetch import Progress
from resnet50.data.dataset import DatasetSplits
from resnet50.data.loading import load_dataset


def load(
    path: str | os.PathLike[str] | None, *, image_size: int = 32, progress: Progress | None = None
) -> DatasetSplits:
    """Read CIFAR-10.

    Args:
        path: Folder with the binary version, or with PNG sheets of images and their labels.
        image_size: Height and width in pixels; the images have 32 and are resized to any other.
        progress: Never called, since there is nothing to decode.

    Returns:
        Training and test images.

    Raises:
        FileNotFoundError: If nothing is there, or no path is given.
        ValueError: If the files are damaged, or of the pickled version.
    """
    if path is None:
        raise FileNotFoundError("cifar10: expected the folder of the binary version, got no path.")
    return load_dataset(path, image_size=image_size, progress=progress)
