"""What the data doctor says, and the pictures it says it of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass
from typing import SupportsIndex

import numpy as np

from resnet50.data.listing import PARTS
from resnet50.data.split import Split

SEVERITIES = ("error", "warning", "note")
"""How much a finding matters, worst first: figures would be wrong; training would suffer; good to know."""

EXAMPLES = 100
"""Most examples of a finding that are named."""

_NAMED = 5  # names that a summary lists


@dataclass(frozen=True)
class Place:
    """One picture of a finding.

    Attributes:
        source: Where it came from, as its split says, or the path of a file that is in no split.
        part: Name of its split, such as ``"test"``; "" for a file that is in none.
        index: Place in its split; None for a file that is in none.
        class_name: Its class; "" for a file that is in no split.
        remark: What it is shown for, such as why it cannot be read; may be empty.
    """

    source: str
    part: str = ""
    index: int | None = None
    class_name: str = ""
    remark: str = ""


@dataclass(frozen=True)
class Finding:
    """One thing that the data doctor has to say.

    Attributes:
        kind: What it is: ``"leak"``, ``"conflict"``, ``"duplicates"``, ``"mirrored"``, ``"group"``, ``"unreadable"``,
            ``"plain"``, ``"missing"``, ``"tiny"``, ``"imbalance"``, ``"uncertain"``, ``"small"``, ``"long"``,
            ``"modes"``, ``"telltale"``, ``"turned"``, ``"uncut"``, ``"unusable"``, ``"seen"``, ``"changed-test"`` or
            ``"unknown-training"``.
        severity: ``"error"`` if figures from these data would be wrong, ``"warning"`` if training suffers, ``"note"``
            for what is good to know.
        summary: One line, with numbers.
        advice: What to do about it.
        examples: Pictures that belong together, such as a picture and its duplicate; the clearest first, and not
            more than `EXAMPLES` of them.
    """

    kind: str
    severity: str
    summary: str
    advice: str
    examples: tuple[tuple[Place, ...], ...] = ()


class Pictures:
    """The pictures of all parts, numbered through, those of training first.

    Attributes:
        splits: The parts, in the order training, validation, test.
        parts: Their names.
        class_names: Name of each class.
        labels: Class of each picture, int64 ``(n,)``.
        part: Part of each picture, as an index into ``parts``, int64 ``(n,)``.
        starts: Number of the first picture of each part.

    Raises:
        ValueError: If there are no pictures, or the splits do not have the same classes.
    """

    def __init__(self, splits: Mapping[str, Split]) -> None:
        self.splits = dict(sorted(splits.items(), key=lambda item: PARTS.index(item[0]) if item[0] in PARTS else -1))
        self.parts = tuple(self.splits)
        if not any(map(len, self.splits.values())):
            raise ValueError("needed pictures to look for faults in, got none.")
        self.class_names = next(iter(self.splits.values())).class_names
        for part, split in self.splits.items():
            if split.class_names != self.class_names:
                raise ValueError(
                    f"{split.dataset}: needed the same classes in every part, found {', '.join(self.class_names)} and, "
                    f"in {part}, {', '.join(split.class_names)}."
                )
        self.labels = np.concatenate([split.labels for split in self.splits.values()])
        sizes = [len(split) for split in self.splits.values()]
        self.part = np.repeat(np.arange(len(sizes)), sizes)
        self.starts = np.cumsum([0, *sizes[:-1]])

    def __len__(self) -> int:
        return len(self.labels)

    def image(self, number: SupportsIndex) -> np.ndarray:
        """Return the pixels of a picture, uint8 ``(height, width, 3)``."""
        split, index = self._find(number)
        return split.images[index]

    def place(self, number: SupportsIndex, remark: str = "") -> Place:
        """Return where a picture stands."""
        split, index = self._find(number)
        return Place(
            source=split.sources[index],
            part=self.parts[self.part[number]],
            index=index,
            class_name=self.class_names[self.labels[number]],
            remark=remark,
        )

    def each(self, remarked: Sequence[tuple[SupportsIndex, str]]) -> tuple[tuple[Place, ...], ...]:
        """Return pictures with their remarks as examples of one picture each."""
        return tuple((self.place(number, remark),) for number, remark in remarked[:EXAMPLES])

    def _find(self, number: SupportsIndex) -> tuple[Split, int]:
        part = self.part[number]
        return self.splits[self.parts[part]], int(number - self.starts[part])


def so_many(count: int, thing: str) -> str:
    """Return a count with its thing, in the plural where it is one."""
    many = f"{thing}{'es' if thing.endswith('s') else 's'}"
    return f"{count:,} {thing if count == 1 else many}"


def of(count: int, whole: int, what: str) -> str:
    """Return a count, a whole and the share."""
    return f"{count:,} of {whole:,} {what} ({count / whole:.1%})"


def have(things: Sized | int) -> str:
    """Return the verb for so many things."""
    return "has" if _count(things) == 1 else "have"


def are(things: Sized | int) -> str:
    """Return the verb for so many things."""
    return "is" if _count(things) == 1 else "are"


def _count(things: Sized | int) -> int:
    return things if isinstance(things, int) else len(things)


def listed(names: Sequence[str]) -> str:
    """Return the first names, as what can be printed where they are no UTF-8, and how many more there are."""
    some = ", ".join(names[:_NAMED]).encode(errors="backslashreplace").decode()
    return some + (f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else "")
