"""A dataset, whatever its source: images, labels, class names and the path of each image."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from resnet50._io.text import check_printable, plural, printable
from resnet50.data.lazy_images import LazyImages
from resnet50.data.texts import Texts

_BLOCK = 64 << 20  # bytes of images that are hashed at a time


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labeled images of one size, read-only. Two datasets hold the same data if their fingerprints are equal.

    Attributes:
        images: RGB, uint8, ``(n, height, width, 3)``, 0..255; a view that cannot be written to. Images that lie in a
            file, as those of `resnet50.data.hdf5.read_split` may, are a ``np.memmap`` or `LazyImages` of one. Both are
            indexed and iterated like an array and read only then; ``np.asarray`` reads all.
        labels: Index into ``class_names`` for each image, int64, ``(n,)``; a view that cannot be written to.
        class_names: Name of each class, in the order of the model's outputs.
        paths: Where each image came from: a file, or a place in one; ``n`` strings; `Texts` where they
            come from packed records.
        name: Name of the dataset, shown in figures and reports.
        groups: What each image belongs to, such as a patient or a specimen, ``n`` strings, "" for nothing; () if
            no image belongs to anything. A cut never separates the images of a group.

    Raises:
        ValueError: If the fields do not have these types or do not fit each other.
    """

    images: np.ndarray | LazyImages
    labels: np.ndarray
    class_names: tuple[str, ...]
    paths: Sequence[str]
    name: str
    groups: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.images.dtype != np.uint8 or self.images.ndim != 4 or self.images.shape[-1] != 3:
            raise ValueError(
                f"{self.name}: expected uint8 images (n, height, width, 3), got {self.images.dtype} "
                f"{self.images.shape}."
            )
        if self.labels.dtype != np.int64 or self.labels.shape != (len(self.images),):
            raise ValueError(
                f"{self.name}: expected int64 labels ({len(self.images)},), got {self.labels.dtype} "
                f"{self.labels.shape}."
            )
        if len(self.paths) != len(self.images):
            raise ValueError(f"{self.name}: expected {len(self.images)} paths, one per image, got {len(self.paths)}.")
        if self.groups and len(self.groups) != len(self.images):
            raise ValueError(f"{self.name}: expected {len(self.images)} groups, one per image, got {len(self.groups)}.")
        if len(self.labels) and not 0 <= self.labels.min() <= self.labels.max() < len(self.class_names):
            raise ValueError(
                f"{self.name}: expected labels 0..{len(self.class_names) - 1}, "
                f"got {self.labels.min()}..{self.labels.max()}."
            )
        check_printable(self.class_names, f"{printable(self.name)}: expected class names")
        for name, array in (("images", self.images), ("labels", self.labels)):
            if isinstance(array, np.ndarray):
                view = array.view()
                view.flags.writeable = False  # a change after the fingerprint was taken would go unnoticed
                object.__setattr__(self, name, view)

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:  # the generated one would print every path
        height, width = self.images.shape[1:3]
        classes = plural(len(self.class_names), "class")
        return f"Dataset({self.name!r}, {plural(len(self), 'image')} of {height} x {width} pixels, {classes})"

    def select(self, indices: Sequence[int] | np.ndarray) -> Dataset:
        """Return the images at these indices, in this order.

        Images in memory are copied; images in a file stay there.

        Raises:
            ValueError: If the indices are not whole numbers; a boolean mask would be read as indices 0 and 1.
        """
        chosen = np.asarray(indices)
        if chosen.size and chosen.dtype.kind not in "iu":
            raise ValueError(f"{self.name}: expected whole numbers as indices, got {chosen.dtype}.")
        chosen = chosen.astype(np.int64)
        images = self.images
        if isinstance(images, np.memmap):
            images = LazyImages(images, np.arange(len(images)))
        return replace(
            self,
            images=images.select(chosen) if isinstance(images, LazyImages) else images[chosen],
            labels=self.labels[chosen],
            paths=self.paths.select(chosen) if isinstance(self.paths, Texts) else tuple(self.paths[i] for i in chosen),
            groups=tuple(self.groups[i] for i in chosen) if self.groups else (),
        )

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over sizes, pixels, labels and class names, in hexadecimal: equal if and only if the data are.

        Of image files that are decoded when they are indexed, over their SHA-256 and how they are decoded, in place of
        the pixels.
        """
        digest = hashlib.sha256(repr((self.images.shape, self.class_names)).encode())
        if isinstance(self.images, LazyImages) and (hashes := self.images.file_hashes) is not None:
            for part in (self.images.decoding.encode(), hashes, self.labels):
                digest.update(np.ascontiguousarray(part).data if isinstance(part, np.ndarray) else part)
            return digest.hexdigest()
        count = max(1, _BLOCK // (math.prod(self.images.shape[1:]) or 1))
        for start in range(0, len(self), count):
            digest.update(np.ascontiguousarray(self.images[start : start + count]).data)
        digest.update(np.ascontiguousarray(self.labels).data)
        return digest.hexdigest()


@dataclass(frozen=True)
class Unreadable:
    """A file that was left out.

    Attributes:
        path: The file, as its source names it.
        reason: What is wrong with it, one line.
        temporary: Whether the machine failed and not the file, as far as is known: an error of the disk or of the
            network, or too little memory.
    """

    path: str
    reason: str
    temporary: bool = False
