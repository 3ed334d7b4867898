"""The one form that every source of pictures takes: images, labels, class names and where each image came from."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from resnet50.data.rows import Rows

_BLOCK = 64 << 20  # bytes of pictures that are hashed at a time


@dataclass(frozen=True, eq=False)
class Split:
    """Labelled pictures of one size, read-only. Two splits hold the same data if their fingerprints are equal.

    Attributes:
        images: RGB, uint8, ``(n, height, width, 3)``, 0..255; a view that cannot be written to. Where pictures lie in a
            file, as those of `read_part` may, it is a ``np.memmap``, and after `take` `Rows` of one: indexed and looped
            over as an array is, and read only then; ``np.asarray`` reads all.
        labels: Index into ``class_names`` for each picture, int64, ``(n,)``; a view that cannot be written to.
        class_names: Name of each class, in the order of the model's outputs.
        sources: Where each picture came from: a file, or a place in one; ``n`` strings.
        dataset: Name of the data set, which stands in every figure and report.
        groups: What each picture belongs to, such as a patient or a specimen, ``n`` strings, "" for nothing; () if
            no picture belongs to anything. What belongs together is never on two sides of a cut.

    Raises:
        ValueError: If the fields do not have these types and fit each other.
    """

    images: np.ndarray | Rows
    labels: np.ndarray
    class_names: tuple[str, ...]
    sources: tuple[str, ...]
    dataset: str
    groups: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.images.dtype != np.uint8 or self.images.ndim != 4 or self.images.shape[-1] != 3:
            raise ValueError(
                f"{self.dataset}: images must be uint8 (n, height, width, 3), "
                f"got {self.images.dtype} {self.images.shape}."
            )
        if self.labels.dtype != np.int64 or self.labels.shape != (len(self.images),):
            raise ValueError(
                f"{self.dataset}: labels must be int64 ({len(self.images)},), "
                f"got {self.labels.dtype} {self.labels.shape}."
            )
        if len(self.sources) != len(self.images):
            raise ValueError(f"{self.dataset}: {len(self.images)} images, but {len(self.sources)} sources.")
        if self.groups and len(self.groups) != len(self.images):
            raise ValueError(f"{self.dataset}: {len(self.images)} images, but {len(self.groups)} groups.")
        if len(self.labels) and not 0 <= self.labels.min() <= self.labels.max() < len(self.class_names):
            raise ValueError(
                f"{self.dataset}: labels must be 0..{len(self.class_names) - 1}, "
                f"got {self.labels.min()}..{self.labels.max()}."
            )
        for name, array in (("images", self.images), ("labels", self.labels)):
            if isinstance(array, np.ndarray):
                view = array.view()
                view.flags.writeable = False  # what is changed after its fingerprint would pass for the original
                object.__setattr__(self, name, view)

    def __len__(self) -> int:
        return len(self.images)

    def take(self, indices: Sequence[int] | np.ndarray) -> Split:
        """Return the pictures at these indices, in this order.

        They are copied, but for those that lie in a file, which stay there.

        Raises:
            ValueError: If the indices are not whole numbers; a mask of truth values would be taken for 0 and 1.
        """
        chosen = np.asarray(indices)
        if chosen.size and chosen.dtype.kind not in "iu":
            raise ValueError(f"{self.dataset}: indices must be whole numbers, got {chosen.dtype}.")
        chosen = chosen.astype(np.int64)
        images = self.images
        if isinstance(images, np.memmap):
            images = Rows(images, np.arange(len(images)))
        return replace(
            self,
            images=images.take(chosen) if isinstance(images, Rows) else images[chosen],
            labels=self.labels[chosen],
            sources=tuple(self.sources[i] for i in chosen),
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
class Parts:
    """What a training is given: pictures to learn from and pictures to score, of the same classes and size.

    Attributes:
        training: Pictures to learn from.
        test: Pictures that are looked at once, at the end.
        validation: Pictures that are scored after every epoch; None for those that the recipe holds out of
            ``training``, if any.
        unreadable: Files of the source that none of the splits holds.
    """

    training: Split
    test: Split
    validation: Split | None = None
    unreadable: tuple[Unreadable, ...] = ()

    @property
    def splits(self) -> dict[str, Split]:
        """The splits by name, ``"training"``, ``"validation"`` if there is one, ``"test"``."""
        named = {"training": self.training, "validation": self.validation, "test": self.test}
        return {name: split for name, split in named.items() if split is not None}
