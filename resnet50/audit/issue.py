"""The issues that the audit raises, and the images that they are about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import SupportsIndex

import numpy as np

from resnet50._io.text import listed
from resnet50.data.dataset import Dataset
from resnet50.data.lazy_images import LazyImages
from resnet50.data.listing import SPLITS

SEVERITIES = ("error", "warning", "note")
"""How much an issue matters, worst first: scores would be wrong; training would suffer; good to know."""

KINDS: Mapping[str, str] = MappingProxyType(
    {
        "unusable": "The source cannot be used for training.",
        "unreadable": "Files cannot be read.",
        "damaged": "Packed records are not as they were written.",
        "left-out": "Files that are no images, folders without images or links to nothing are not used.",
        "leak": "Images of one split have near-duplicates in another.",
        "group-leak": "Groups, such as patients, have images in two splits.",
        "folder-groups": "Subfolders of class folders are groups.",
        "subfolders": "Subfolders of class folders, which may belong to patients, have images in two splits.",
        "other-columns": "Columns of the CSV file are not used.",
        "in-training": "Images to be scored are copies of training or validation images.",
        "changed-test": "The test split differs from the one that the run was scored on.",
        "unknown-class": "Images to be scored are of classes that the classifier does not know.",
        "unknown-training": "The training images are unknown, so that images to be scored may be among them.",
        "corrections": "A file of corrections changes labels or leaves images out.",
        "label-error": "Labels that may be wrong, by predictions of models that have not seen the images.",
        "label-conflict": "Near-duplicates have different labels.",
        "look-alike": "More than half of the images look alike, so that they are compared more finely.",
        "copies-only": "The images, or their near-duplicates, are too many, so that only identical ones are found.",
        "near-duplicates": "Images of one class and split are near-duplicates.",
        "mirrored": "Images are mirror images of others of their class.",
        "mirrored-classes": "Images of one class are mirror images of those of another, or the classes' names say so.",
        "single-color": "Images are of a single color.",
        "missing-class": "Classes have no images in a split.",
        "small-class": "Classes have few training images.",
        "similar-classes": "Names of classes differ in case, leading zeros or separators alone.",
        "class-imbalance": "The largest class has many times the training images of the smallest.",
        "small-test": "The test split is too small for a precise accuracy.",
        "no-test": "There is no test split, and cutting one off leaves some classes too small.",
        "low-resolution": "Files are much smaller than the image size.",
        "odd-aspect-ratio": "Files lose much of their area when they are cropped to a square.",
        "mixed-modes": "Files differ in their color mode.",
        "exif-orientation": "Files are stored rotated or mirrored.",
        "spurious-property": "The size, color mode or format of a file predicts its class.",
    }
)
"""Each kind of issue (`Issue.kind`), with what it means."""

EXAMPLES = 100
"""Most examples that an issue lists."""


@dataclass(frozen=True)
class Place:
    """One image of an issue.

    Attributes:
        path: Where the image came from (`Dataset.paths`), or the path of a file that is in no split.
        split: Name of its split, such as ``"test"``; "" for a file that is in none.
        index: Its index in the split; None for a file that is in none.
        class_name: Its class; "" for a file that is in no split.
        remark: Why it is an example, such as the reason why it cannot be read; may be empty.
        suggestion: The class that it may be of instead; "" where there is none.
    """

    path: str
    split: str = ""
    index: int | None = None
    class_name: str = ""
    remark: str = ""
    suggestion: str = ""


@dataclass(frozen=True)
class Issue:
    """One thing that is wrong with a dataset.

    Attributes:
        kind: A key of `KINDS`.
        severity: ``"error"`` if scores on these data would be wrong, ``"warning"`` if training suffers, ``"note"`` if
            it is good to know.
        summary: One line, with numbers.
        advice: What to do about it.
        examples: Images that belong together, such as an image and its near-duplicate; the clearest first, and at most
            `EXAMPLES` of them.
    """

    kind: str
    severity: str
    summary: str
    advice: str
    examples: tuple[tuple[Place, ...], ...] = ()


class AllImages:
    """The images of all splits, numbered consecutively, those of the training split first.

    Attributes:
        splits: The splits by name, in the order train, validation, test.
        names: Names of the splits.
        class_names: Name of each class.
        labels: Class of each image, int64 ``(n,)``.
        split_index: Split of each image, as an index into ``names``, int64 ``(n,)``.
        starts: Number of the first image of each split.

    Raises:
        ValueError: If there are no images, or the splits do not have the same classes.
    """

    def __init__(self, splits: Mapping[str, Dataset]) -> None:
        self.splits = dict(sorted(splits.items(), key=lambda item: SPLITS.index(item[0])))
        self.names = tuple(self.splits)
        if not any(map(len, self.splits.values())):
            raise ValueError("expected images to audit, got none.")
        self.class_names = next(iter(self.splits.values())).class_names
        for split, dataset in self.splits.items():
            if dataset.class_names != self.class_names:
                raise ValueError(
                    f"{dataset.name}: expected the same classes in every split, got "
                    f"{listed(self.class_names, most=10)} and, in {split}, {listed(dataset.class_names, most=10)}."
                )
        self.labels = np.concatenate([dataset.labels for dataset in self.splits.values()])
        sizes = [len(dataset) for dataset in self.splits.values()]
        self.split_index = np.repeat(np.arange(len(sizes)), sizes)
        self.starts = np.cumsum([0, *sizes[:-1]])

    def __len__(self) -> int:
        return len(self.labels)

    def image(self, number: SupportsIndex) -> np.ndarray:
        """Return the pixels of an image, uint8 ``(height, width, 3)``."""
        dataset, index = self._find(number)
        return dataset.images[index]

    def same_pixels(self, one: SupportsIndex, other: SupportsIndex) -> bool:
        """Return whether two images are equal; those of equal image files are not decoded."""
        first, second = self._file_hash(one), self._file_hash(other)
        return (first is not None and first == second) or np.array_equal(self.image(one), self.image(other))

    def place(self, number: SupportsIndex, remark: str = "", suggestion: str = "") -> Place:
        """Return the split, index, class and path of an image, with a remark and a suggested class."""
        dataset, index = self._find(number)
        return Place(
            path=dataset.paths[index],
            split=self.names[self.split_index[number]],
            index=index,
            class_name=self.class_names[self.labels[number]],
            remark=remark,
            suggestion=suggestion,
        )

    def each(self, remarked: Sequence[tuple[SupportsIndex, str]]) -> tuple[tuple[Place, ...], ...]:
        """Return images with their remarks as examples of one image each."""
        return tuple((self.place(number, remark),) for number, remark in remarked[:EXAMPLES])

    def _file_hash(self, number: SupportsIndex) -> bytes | None:
        dataset, index = self._find(number)
        return dataset.images.file_hash(index) if isinstance(dataset.images, LazyImages) else None

    def _find(self, number: SupportsIndex) -> tuple[Dataset, int]:
        split = self.split_index[number]
        return self.splits[self.names[split]], int(number - self.starts[split])
