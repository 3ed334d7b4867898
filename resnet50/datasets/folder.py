"""Your own images: a folder of class folders, a CSV file, an h5 file or a folder of CIFAR-10."""

from __future__ import annotations

import os

from resnet50._io.fetch import Progress
from resnet50.data.fit import Fit
from resnet50.data.loading import load_dataset
from resnet50.data.options import DEFAULT_OPTIONS, ReadOptions
from resnet50.data.splits import DatasetSplits


def load(
    path: str | os.PathLike[str] | None,
    *,
    image_size: int,
    fit: Fit | None = None,
    options: ReadOptions = DEFAULT_OPTIONS,
    progress: Progress | None = None,
) -> DatasetSplits:
    """Read any source that `resnet50.data.loading.load_dataset` takes, as the options say."""
    if path is None:
        raise FileNotFoundError("folder: expected a folder, a CSV file or an h5 file of images, got no path.")
    return load_dataset(path, image_size=image_size, fit=fit, options=options, progress=progress)
