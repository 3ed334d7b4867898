"""The decoded images of an earlier version of a source, taken over where their files did not change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from resnet50.data.fit import Fit
from resnet50.data.hdf5 import read_file_hashes, read_h5, read_packing
from resnet50.data.lazy_images import LazyImages


@dataclass(frozen=True, eq=False)
class EarlierImages:
    """The images of a packed file, by the SHA-256 of the files that they came from.

    Attributes:
        fit: How they were fitted, with the value range that was used.
        places: Images of a split, and index of one in them, for each hash.
    """

    fit: Fit
    places: Mapping[str, tuple[np.ndarray | LazyImages, int]]

    def find(self, content: str, fit: Fit) -> np.ndarray | None:
        """Return the image of a file with this hash; None if there is none by this fit, or it is damaged."""
        if content not in self.places or fit != self.fit:
            return None
        images, index = self.places[content]
        try:
            return np.ascontiguousarray(images[index])
        except ValueError:  # its checksum differs
            return None


def read_earlier(path: Path) -> EarlierImages | None:
    """Open the images of a packed file; None if it is not there, is damaged, or does not say how they were fitted."""
    try:
        splits, hashes, fit = read_h5(path), read_file_hashes(path), read_packing(path).fit
    except (OSError, ValueError):
        return None
    if fit is None:
        return None
    return EarlierImages(
        fit,
        {
            content: (dataset.images, index)
            for split, dataset in splits.items()
            for index, content in enumerate(hashes[split])
            if len(hashes[split]) == len(dataset)
        },
    )
