"""Named datasets: what each consists of and how its images are read. Recipes, their numbers, are in `resnet50.recipes`.

`DATASETS` maps names to loaders; `resnet50.datasets.source.DataSource` is what a run records of its data.
"""

from __future__ import annotations

import os
from typing import Protocol

from resnet50._io.fetch import Progress
from resnet50.data.fit import Fit
from resnet50.data.splits import DatasetSplits
from resnet50.datasets import caltech101, cats_dogs, cifar10, folder, imagenet, leukemia, rendered_signs, rocks, signs


class Loader(Protocol):
    """A function that reads a dataset.

    ``folder``'s loader also takes ``options``, a `resnet50.data.options.ReadOptions`; the others know how their files
    are read.
    """

    def __call__(
        self,
        path: str | os.PathLike[str] | None,
        *,
        image_size: int,
        fit: Fit | None = None,
        progress: Progress | None = None,
    ) -> DatasetSplits:
        """Read the images.

        Args:
            path: Folder or file; None for the dataset's usual place, if it has one.
            image_size: Height and width in pixels of all images, which are fitted to it.
            fit: How; None for `resnet50.data.fit.DEFAULT_FIT`, or as a packed file was.
            progress: As for `resnet50.data.loading.load_dataset`.

        Returns:
            Training and test images, and validation images if the source has such a split.

        Raises:
            FileNotFoundError: If nothing is at the path, or there is no path and no usual place.
            ValueError: If the files are not those of the dataset, are damaged, or too many cannot be read.
        """


DATASETS: dict[str, Loader] = {
    "signs": signs.load,
    "leukemia": leukemia.load,
    "rocks": rocks.load,
    "cats-dogs": cats_dogs.load,
    "cifar10": cifar10.load,
    "caltech101": caltech101.load,
    "imagenet": imagenet.load,
    "imagenet-90": imagenet.load,
    "folder": folder.load,
    "rendered-signs": rendered_signs.load,
}
"""Loaders by the name of their dataset; ``"folder"`` reads your own images."""
