"""Images in files, in any order, without a copy in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from resnet50.data.encoded_image import EncodedImage
from resnet50.data.headers import Headers

Check = Callable[[np.ndarray, np.ndarray], None]


class LazyImages:
    """Some images of an array that is mapped from a file, in some order, each read when it is indexed.

    ``images[3]``, ``images[10:20]`` and ``images[[7, 2, 2]]`` are arrays, as with NumPy, and ``np.asarray(images)``
    reads all. Nothing can be written.

    Args:
        array: The mapped array, ``(m, ...)``, read-only; or what is indexed like one and decodes images, such as
            `resnet50.data.records.EncodedImages`.
        indices: Index in it of each image, int64 ``(n,)``, 0..m - 1.
        check: Called with the indices of images that were read, int64 ``(k,)``, and the images; it raises an error if
            they are damaged.

    Attributes:
        shape: ``(n, ...)``.
        ndim: Length of the shape.
        dtype: Type of the array.
    """

    def __init__(self, array: Any, indices: np.ndarray, *, check: Check | None = None) -> None:
        self._array, self._indices, self._check = array, indices, check
        self.shape = (len(indices), *array.shape[1:])
        self.ndim, self.dtype = array.ndim, array.dtype

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, key: Any) -> np.ndarray:
        indices = self._indices[key]
        images = self._array[indices]
        if self._check is not None:
            one = indices.ndim == 0
            self._check(indices[None] if one else indices, images[None] if one else images)
        return images

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[place] for place in range(len(self)))

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("expected to copy the images from their file into an array, got copy=False; leave it out.")
        return np.asarray(self[:], dtype)

    @property
    def file_hashes(self) -> np.ndarray | None:
        """SHA-256 of the image file of each, uint8 ``(n, 32)``; None where pixels are stored."""
        hashes = getattr(self._array, "file_hashes", None)
        return None if hashes is None else hashes[self._indices]

    def file_hash(self, place: int) -> bytes | None:
        """Return the SHA-256 of one image's file; None where pixels are stored."""
        hashes = getattr(self._array, "file_hashes", None)
        return None if hashes is None else hashes[self._indices[place]].tobytes()

    @property
    def file_headers(self) -> Headers | None:
        """Header of the image file of each, None for one that could not be read; None where pixels are stored."""
        headers: Headers | None = getattr(self._array, "file_headers", None)
        return None if headers is None else headers.select(self._indices)

    @property
    def decoding(self) -> str:
        """What the pixels depend on beside the files; "" where pixels are stored."""
        return getattr(self._array, "decoding", "")

    @property
    def is_encoded(self) -> bool:
        """Whether the images are in image files, which `encoded` returns."""
        # asked for each batch: `file_hashes` would copy those of all images, 40 MB of a million
        return getattr(self._array, "file_hashes", None) is not None

    def encoded(self, place: int) -> EncodedImage:
        """Return the image file with this place; only where `is_encoded`."""
        return self._array.encoded(int(self._indices[place]))

    def select(self, indices: np.ndarray) -> LazyImages:
        """Return the images at these indices, in this order, without reading them."""
        return LazyImages(self._array, self._indices[indices], check=self._check)
