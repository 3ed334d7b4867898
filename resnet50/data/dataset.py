"""A dataset, whatever its source: images, labels, class names and the path of each image; and its splits."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from resnet50._io.fetch import Progress
from resnet50.data.lazy_images import LazyImages
from resnet50.data.near_duplicates import NearDuplicates, find_near_duplicates
from resnet50.data.splitting import cut_indices

_BLOCK = 64 << 20  # bytes of images that are hashed at a time


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labeled images of one size, read-only. Two datasets hold the same data if their fingerprints are equal.

    Attributes:
        images: RGB, uint8, ``(n, height, width, 3)``, 0..255; a view that cannot be written to. Images that lie in a
            file, as those of `resnet50.data.hdf5.read_split` may, are a ``np.memmap`` and, after `select`, `LazyImages`
            of one. Both are indexed and iterated like an array and read only then; ``np.asarray`` reads all.
        labels: Index into ``class_names`` for each image, int64, ``(n,)``; a view that cannot be written to.
        class_names: Name of each class, in the order of the model's outputs.
        paths: Where each image came from: a file, or a place in one; ``n`` strings.
        name: Name of the dataset, shown in figures and reports.
        groups: What each image belongs to, such as a patient or a specimen, ``n`` strings, "" for nothing; () if
            no image belongs to anything. A cut never separates the images of a group.

    Raises:
        ValueError: If the fields do not have these types or do not fit each other.
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
        for name, array in (("images", self.images), ("labels", self.labels)):
            if isinstance(array, np.ndarray):
                view = array.view()
                view.flags.writeable = False  # a change after the fingerprint was taken would go unnoticed
                object.__setattr__(self, name, view)

    def __len__(self) -> int:
        return len(self.images)

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
            paths=tuple(self.paths[i] for i in chosen),
            groups=tuple(self.groups[i] for i in chosen) if self.groups else (),
        )

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over sizes, pixels, labels and class names, in hexadecimal: equal if and only if the data are."""
        digest = hashlib.sha256(repr((self.images.shape, self.class_names)).encode())
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
    """

    path: str
    reason: str


@dataclass(frozen=True, eq=False)
class DatasetSplits:
    """The splits of a dataset, all with the same classes and image size.

    Attributes:
        train: Images to learn from.
        test: Images that are scored once, at the end of training.
        validation: Images that are scored after every epoch; None if the recipe cuts them off ``train``.
        unreadable: Files of the source that are in no split.
        root: Folder that the images' paths start from; None where the images are not in files of their own.
    """

    train: Dataset | None = None
    test: Dataset | None = None
    validation: Dataset | None = None
    unreadable: tuple[Unreadable, ...] = ()
    root: Path | None = None
    # init=False: `replace` does not copy it to splits that may hold other images
    _near_duplicates: NearDuplicates | None = field(default=None, init=False, repr=False)

    @property
    def by_name(self) -> dict[str, Dataset]:
        """The splits that there are: ``"train"``, ``"validation"``, ``"test"``, in this order."""
        named = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: dataset for name, dataset in named.items() if dataset is not None}

    @classmethod
    def of(cls, by_name: Mapping[str, Dataset], unreadable: tuple[Unreadable, ...] = ()) -> DatasetSplits:
        """Return the splits with these names: ``"train"``, ``"validation"`` and ``"test"``, or some of them."""
        return cls(by_name.get("train"), by_name.get("test"), by_name.get("validation"), unreadable)

    def map(self, function: Callable[[Dataset], Dataset]) -> DatasetSplits:
        """Return the splits with a function applied to each."""
        return replace(self, **{name: function(dataset) for name, dataset in self.by_name.items()})  # type: ignore[arg-type]

    def __getitem__(self, name: str) -> Dataset:
        """Return the split of this name.

        Raises:
            ValueError: If there is no such split.
        """
        if name not in self.by_name:
            raise ValueError(f"expected a {name} split, got {' and '.join(self.by_name) or 'none'} only.")
        return self.by_name[name]

    @property
    def near_duplicates(self) -> NearDuplicates:
        """The near-duplicates among the images of all splits, which are numbered in the order of `by_name`."""
        return self.find_near_duplicates()

    def find_near_duplicates(self, *, progress: Progress | None = None) -> NearDuplicates:
        """Return `near_duplicates`. The first call searches for them; later calls and cuts reuse the result.

        Args:
            progress: Called with the steps done and their number, two for each image; never if the result is reused.
        """
        near_duplicates = self._near_duplicates
        if near_duplicates is None:
            images = [dataset.images for dataset in self.by_name.values()]
            near_duplicates = find_near_duplicates(images, progress=progress)
            object.__setattr__(self, "_near_duplicates", near_duplicates)
        return near_duplicates

    def cut(self, share: float, *, into: str, seed: int) -> DatasetSplits:
        """Move a share of ``train`` into a new split.

        Groups and near-duplicates stay together, and classes keep their proportions as far as that allows, as
        `resnet50.data.splitting.train_validation_split` describes. The result has the near-duplicates of these splits
        and does not search again.

        Args:
            share: Share of each class, above 0 and below 1.
            into: Name of the new split, ``"validation"`` or ``"test"``.
            seed: Determines which images; the same seed gives the same cut.

        Raises:
            ValueError: If there is no ``train`` split or the new one exists, the share is not between 0 and 1, or one
                of the two would be empty.
        """
        train = self["train"]
        if into not in ("validation", "test") or into in self.by_name:
            raise ValueError(
                f"{train.name}: expected to cut into a validation or test split that does not exist yet, got {into!r}; "
                f"the splits are {', '.join(self.by_name)}."
            )
        rest, held_out = cut_indices(train, self.near_duplicates.groups[: len(train)], share, seed=seed)
        new = {"train": train.select(rest), into: train.select(held_out)}
        splits = replace(self, **new)  # type: ignore[arg-type]
        ends = np.cumsum([len(dataset) for dataset in self.by_name.values()])
        numbers = dict(zip(self.by_name, np.split(np.arange(ends[-1]), ends[:-1]), strict=True))
        numbers |= {"train": rest, into: held_out}  # train comes first, so its indices are its images' numbers
        order = np.concatenate([numbers[name] for name in splits.by_name])
        object.__setattr__(splits, "_near_duplicates", self.near_duplicates.reorder(order))
        return splits
