"""CIFAR-10: tiny photos of ten classes of animals and vehicles, by Krizhevsky, Nair and Hinton, University of Toronto.

50,000 training and 10,000 test images of 32 x 32 pixels, 10 classes, https://www.cs.toronto.edu/~kriz/cifar.html.
`resnet50.data.cifar10` reads the binary version, or PNG sheets with a list of labels. License: none stated.

Source: Krizhevsky 2009, "Learning multiple layers of features from tiny images".
"""

from __future__ import annotations

import os

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
    """Read a folder with the binary version or with PNG sheets; images are resized unless ``image_size`` is 32."""
    if path is None:
        raise FileNotFoundError("cifar10: expected the folder of the binary version, got no path.")
    return load_dataset(path, image_size=image_size, fit=fit, progress=progress)
