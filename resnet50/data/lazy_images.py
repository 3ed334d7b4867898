"""Images in a file, in any order, without a copy in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike


class LazyImages:
    """Some images of an array that is mapped from a file, in some order, each read when it is indexed.

    ``images[3]``, ``images[10:20]`` and ``images[[7, 2, 2]]`` are arrays, as with NumPy, and ``np.asarray(images)``
    reads all. Nothing can be written.

    Args:
        array: The mapped array, ``(m, ...)``, read-only.
        indices: Index in it of each image, int64 ``(n,)``, 0..m - 1.

    Attributes:
        shape: ``(n, ...)``.
        ndim: Length of the shape.
        dtype: Type of the array.
    """

    def __init__(self, array: np.ndarray, indices: np.ndarray) -> None:
        self._array, self._indices = array, indices
        self.shape = (len(indices), *array.shape[1:])
        self.ndim, self.dtype = array.ndim, array.dtype

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, key: Any) -> np.ndarray:
        return self._array[self._indices[key]]

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self._array[index] for index in self._indices)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("expected to copy the images from their file into an array, got copy=False; leave it out.")
        return np.asarray(self[:], dtype)

    def select(self, indices: np.ndarray) -> LazyImages:
        """Return the images at these indices, in this order, without reading them."""
        return LazyImages(self._array, self._indices[indices])
