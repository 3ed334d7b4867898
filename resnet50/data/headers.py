"""The headers of many image files, of which few differ: a number for each file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import overload

import numpy as np

from resnet50.data.images import Header


class Headers(Sequence["Header | None"]):
    """Headers of image files, each different one once. Equal to any sequence of the same headers.

    Args:
        kinds: The headers; None for that of a file that could not be read, or is none.
        numbers: Which of them each file has, int32 ``(n,)``, 0..len(kinds) - 1.

    Attributes:
        kinds: As given.
        numbers: As given.
    """

    def __init__(self, kinds: Sequence[Header | None], numbers: np.ndarray) -> None:
        self.kinds, self.numbers = tuple(kinds), numbers

    @classmethod
    def of(cls, headers: Iterable[Header | None]) -> Headers:
        """Return headers in this form."""
        kinds: dict[Header | None, int] = {}
        numbers = np.fromiter((kinds.setdefault(header, len(kinds)) for header in headers), np.int32)
        return cls(tuple(kinds), numbers)

    def select(self, indices: np.ndarray) -> Headers:
        """Return the headers of the files with these indices, int64 ``(m,)``, in this order."""
        return Headers(self.kinds, self.numbers[indices])

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, index: int) -> Header | None: ...
    @overload
    def __getitem__(self, index: slice) -> Headers: ...
    def __getitem__(self, index: int | slice) -> Header | Headers | None:
        if isinstance(index, slice):
            return Headers(self.kinds, self.numbers[index])
        return self.kinds[self.numbers[index]]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(one == another for one, another in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:  # not every header
        return f"Headers({len(self)} of {len(self.kinds)} kinds)"
