"""What the audit says, and the images it says it of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import SupportsIndex

import numpy as np

from resnet50.data.dataset import Dataset
from resnet50.data.listing import SPLITS

SEVERITIES = ("error", "warning", "note")
"""How much a finding matters, worst first: figures would be wrong; training would suffer; good to know."""

EXAMPLES = 100
"""Most examples of a finding that are named."""


@dataclass(frozen=True)
class Place:
    """One image of a finding.

    Attributes:
        path: Where it came from, as its split says, or the path of a file that is in no split.
        split: Name of its split, such as ``"test"``; "" for a file that is in none.
        index: Place in its split; None for a file that is in none.
        class_name: Its class; "" for a file that is in no split.
        remark: What it is shown for, such as why it cannot be read; may be empty.
    """

    path: str
    split: str = ""
    index: int | None = None
    class_name: str = ""
    remark: str = ""


@dataclass(frozen=True)
class Issue:
    """One thing that the audit has to say.

    Attributes:
        kind: What it is: ``"leak"``, ``"conflict"``, ``"duplicates"``, ``"mirrored"``, ``"group"``, ``"unreadable"``,
            ``"plain"``, ``"missing"``, ``"tiny"``, ``"imbalance"``, ``"uncertain"``, ``"small"``, ``"long"``,
            ``"modes"``, ``"telltale"``, ``"turned"``, ``"uncut"``, ``"unusable"``, ``"seen"``, ``"changed-test"`` or
            ``"unknown-training"``.
        severity: ``"error"`` if figures from these data would be wrong, ``"warning"`` if training suffers, ``"note"``
            for what is good to know.
        summary: One line, with numbers.
        advice: What to do about it.
        examples: Images that belong together, such as an image and its duplicate; the clearest first, and not
            more than `EXAMPLES` of them.
    """

    kind: str
    severity: str
    summary: str
    advice: str
    examples: tuple[tuple[Place, ...], ...] = ()


class AllImages:
    """The images of all parts, numbered through, those of training first.

    Attributes:
        splits: The parts, in the order training, validation, test.
        splits: Their names.
        class_names: Name of each class.
        labels: Class of each image, int64 ``(n,)``.
        split_index: Split of each image, as an index into ``names``, int64 ``(n,)``.
        starts: Number of the first image of each part.

    Raises:
        ValueError: If there are no images, or the splits do not have the same classes.
    """

    def __init__(self, splits: Mapping[str, Dataset]) -> None:
        self.splits = dict(sorted(splits.items(), key=lambda item: SPLITS.index(item[0]) if item[0] in SPLITS else -1))
        self.names = tuple(self.splits)
        if not any(map(len, self.splits.values())):
            raise ValueError("expected images to look for faults in, got none.")
        self.class_names = next(iter(self.splits.values())).class_names
        for split, dataset in self.splits.items():
            if dataset.class_names != self.class_names:
                raise ValueError(
                    f"{dataset.name}: expected the same classes in every part, found {', '.join(self.class_names)} and, "
                    f"in {split}, {', '.join(dataset.class_names)}."
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

    def place(self, number: SupportsIndex, remark: str = "") -> Place:
        """Return where an image stands."""
        dataset, index = self._find(number)
        return Place(
            path=dataset.paths[index],
            split=self.names[self.split_index[number]],
            index=index,
            class_name=self.class_names[self.labels[number]],
            remark=remark,
        )

    def each(self, remarked: Sequence[tuple[SupportsIndex, str]]) -> tuple[tuple[Place, ...], ...]:
        """Return images with their remarks as examples of one image each."""
        return tuple((self.place(number, remark),) for number, remark in remarked[:EXAMPLES])

    def _find(self, number: SupportsIndex) -> tuple[Dataset, int]:
        split = self.split_index[number]
        return self.splits[self.names[split]], int(number - self.starts[split])
