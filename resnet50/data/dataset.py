"""The one form that every source of images takes: images, labels, class names and where each image came from."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from resnet50.data.lazy_images import LazyImages

_BLOCK = 64 << 20  # bytes of images that are hashed at a time


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labeled images of one size, read-only. Two splits hold the same data if their fingerprints are equal.

    Attributes:
        images: RGB, uint8, ``(n, height, width, 3)``, 0..255; a view that cannot be written to. Where images lie in a
            file, as those of `read_split` may, it is a ``np.memmap``, and after `select` `LazyImages` of one: indexed and looped
            over as an array is, and read only then; ``np.asarray`` reads all.
        labels: Index into ``class_names`` for each image, int64, ``(n,)``; a view that cannot be written to.
        class_names: Name of each class, in the order of the model's outputs.
        paths: Where each image came from: a file, or a place in one; ``n`` strings.
        name: Name of the dataset, which stands in every figure and report.
        groups: What each image belongs to, such as a patient or a specimen, ``n`` strings, "" for nothing; () if
            no image belongs to anything. What belongs together is never on two sides of a cut.

    Raises:
        ValueError: If the fields do not have these types and fit each other.
    """

    images: np.ndarray | LazyImages
    labels: np.ndarray
    class_names: tuple[str, ...]
    paths: tuple[str, ...]
    name: str
    groups: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.images.dtype != np.uint8 or self.images.ndim != 4 or self.images.shape[-1] != 3:
            raise ValueError(
                f"{self.name}: images must be uint8 (n, height, width, 3), got {self.images.dtype} {self.images.shape}."
            )
        if self.labels.dtype != np.int64 or self.labels.shape != (len(self.images),):
            raise ValueError(
                f"{self.name}: labels must be int64 ({len(self.images)},), got {self.labels.dtype} {self.labels.shape}."
            )
        if len(self.paths) != len(self.images):
            raise ValueError(f"{self.name}: {len(self.images)} images, but {len(self.paths)} paths.")
        if self.groups and len(self.groups) != len(self.images):
            raise ValueError(f"{self.name}: {len(self.images)} images, but {len(self.groups)} groups.")
        if len(self.labels) and not 0 <= self.labels.min() <= self.labels.max() < len(self.class_names):
            raise ValueError(
                f"{self.name}: labels must be 0..{len(self.class_names) - 1}, "
                f"got {self.labels.min()}..{self.labels.max()}."
            )
        for name, array in (("images", self.images), ("labels", self.labels)):
            if isinstance(array, np.ndarray):
                view = array.view()
                view.flags.writeable = False  # what is changed after its fingerprint would pass for the original
                object.__setattr__(self, name, view)

    def __len__(self) -> int:
        return len(self.images)

    def select(self, indices: Sequence[int] | np.ndarray) -> Dataset:
        """Return the images at these indices, in this order.

        They are copied, but for those that lie in a file, which stay there.

        Raises:
            ValueError: If the indices are not whole numbers; a mask of truth values would be taken for 0 and 1.
        """
        chosen = np.asarray(indices)
        if chosen.size and chosen.dtype.kind not in "iu":
            raise ValueError(f"{self.name}: indices must be whole numbers, got {chosen.dtype}.")
        chosen = chosen.astype(np.int64)
        images = self.images
        if isinstance(images, np.memmap):
            images = LazyImages(images, np.arange(len(images)))
        return replace(
            self,
            images=images.select(chosen) if isinstance(images, LazyImages) else images[chosen],
            labels=self.labels[chosen],
            paths=tuple(self.paths[i] for i in chosen),
            groups=tuple(self.groups[i] for i in chosen) if self.groups else (),
        )

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over sizes, pixels, labels and class names, in hexadecimal: equal exactly if the data are."""
        digest = hashlib.sha256(repr((self.images.shape, self.class_names)).encode())
        some = max(1, _BLOCK // (math.prod(self.images.shape[1:]) or 1))
        for start in range(0, len(self), some):
            digest.update(np.ascontiguousarray(self.images[start : start + some]).data)
        digest.update(np.ascontiguousarray(self.labels).data)
        return digest.hexdigest()


@dataclass(frozen=True)
class Unreadable:
    """A file that was left out.

    Attributes:
        path: The file, as its source names it.
        reason: What is wrong with it, one line.
    """

    path: str
    reason: str


@dataclass(frozen=True, eq=False)
class DatasetSplits:
    """The splits of a dataset, all of the same classes and image size.

    Attributes:
        train: Images to learn from.
        test: Images that are scored once, at the end of training.
        validation: Images that are scored after every epoch; None for those that the recipe holds out of ``train``.
        unreadable: Files of the source that no split holds.
        root: Folder that the images' paths start from; None where the images are not in files of their own.
    """

    train: Dataset | None = None
    test: Dataset | None = None
    validation: Dataset | None = None
    unreadable: tuple[Unreadable, ...] = ()
    root: Path | None = None

    @property
    def by_name(self) -> dict[str, Dataset]:
        """The splits that there are: ``"train"``, ``"validation"``, ``"test"``, in this order."""
        named = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: dataset for name, dataset in named.items() if dataset is not None}

    @classmethod
    def of(cls, by_name: Mapping[str, Dataset], unreadable: tuple[Unreadable, ...] = ()) -> DatasetSplits:
        """Return the splits with these names, ``"train"``, ``"validation"`` and ``"test"`` or some of them."""
        return cls(by_name.get("train"), by_name.get("test"), by_name.get("validation"), unreadable)

    def map(self, function: Callable[[Dataset], Dataset]) -> DatasetSplits:
        """Return the splits with a function applied to each."""
        return replace(self, **{name: function(each) for name, each in self.by_name.items()})  # type: ignore[arg-type]

    def __getitem__(self, name: str) -> Dataset:
        """Return a split that must be there.

        Raises:
            ValueError: If it is not.
        """
        if name not in self.by_name:
            raise ValueError(f"expected a {name} split, got {' and '.join(self.by_name) or 'none'} only.")
        return self.by_name[name]
