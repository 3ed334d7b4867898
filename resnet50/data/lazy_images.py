"""Images that lie in a file, in any order, without a copy of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike


class LazyImages:
    """Some rows of an array that is mapped from a file, in some order, read only when they are asked for.

    ``rows[3]``, ``rows[10:20]`` and ``rows[[7, 2, 2]]`` are arrays as NumPy gives them, and ``np.asarray(rows)`` reads
    all. Nothing can be written.

    Args:
        array: What holds the rows, ``(m, ...)``, read-only.
        indices: Which of them, and in which order, int64 ``(n,)``, each 0..m - 1.

    Attributes:
        shape: ``(n, ...)``.
        ndim: Length of the shape.
        dtype: That of the array.
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
            raise ValueError("rows of a file have to be copied to become an array; leave out copy=False.")
        return np.asarray(self[:], dtype)

    def select(self, indices: np.ndarray) -> LazyImages:
        """Return the rows at these indices of this, in this order, without reading them."""
        return LazyImages(self._array, self._indices[indices])
