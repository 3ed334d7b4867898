"""Named datasets: what each consists of and how its images are read. Nothing here knows a recipe.

`DATASETS` maps a task's name to its loader; `DataSource` is what a run records of its data and reads back.
"""

from __future__ import annotations

import os
from typing import Protocol

from resnet50._io.fetch import Progress
from resnet50.data.dataset import DatasetSplits
from resnet50.datasets import caltech101, cats_dogs, cifar10, folder, leukemia, rendered_signs, rocks, signs


class Loader(Protocol):
    """A function that reads a dataset.

    ``folder`` also takes ``options``, a `resnet50.data.options.ReadOptions`; the others know how they are read.
    """

    def __call__(
        self, path: str | os.PathLike[str] | None, *, image_size: int, progress: Progress | None = None
    ) -> DatasetSplits:
        """Return the splits, each image ``image_size`` pixels high and wide; None is the dataset's usual place."""


DATASETS: dict[str, Loader] = {
    "signs": signs.load,
    "leukemia": leukemia.load,
    "rocks": rocks.load,
    "cats-dogs": cats_dogs.load,
    "cifar10": cifar10.load,
    "caltech101": caltech101.load,
    "folder": folder.load,
    "rendered-signs": rendered_signs.load,
}
