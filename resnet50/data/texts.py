"""Many short texts, such as the paths of a million images, in less than half of a tuple's memory."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

import numpy as np

_BLOCK = 65_536  # texts whose bounds are numbers of Python at a time


class Texts(Sequence[str]):
    """Texts as their bytes in one array; each is made when it is indexed. Equal to any sequence of the same texts.

    Args:
        content: The bytes of all in UTF-8, uint8 ``(m,)``. A path need not be UTF-8 on Linux: bytes that are not are
            as Python has them in names of files (``surrogateescape``).
        ends: Where each of them ends, int64 ``(k,)``, ascending, 0..m.
        chosen: Which of them, in which order, int64 ``(n,)``, 0..k - 1; None for all.
    """

    def __init__(self, content: np.ndarray, ends: np.ndarray, chosen: np.ndarray | None = None) -> None:
        self._content, self._ends, self._chosen = content, ends, chosen

    @classmethod
    def of(cls, texts: Iterable[str]) -> Texts:
        """Return texts in this form."""
        content, ends = bytearray(), array("q")
        for text in texts:
            content += text.encode("utf-8", "surrogateescape")
            ends.append(len(content))
        return cls(np.frombuffer(content, np.uint8), np.frombuffer(ends, np.int64))

    @property
    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """The bytes of all texts, uint8 ``(m,)``, and where each ends, int64 ``(n,)``."""
        packed = self if self._chosen is None else Texts.of(self)
        return packed._content, packed._ends

    def select(self, indices: np.ndarray) -> Texts:
        """Return the texts with these indices, int64 ``(n,)``, in this order; their bytes are not copied.

        Raises:
            IndexError: If there is no such text.
        """
        chosen = np.arange(len(self)) if self._chosen is None else self._chosen
        return Texts(self._content, self._ends, chosen[indices])

    def __len__(self) -> int:
        return len(self._ends if self._chosen is None else self._chosen)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Texts: ...
    def __getitem__(self, index: int | slice) -> str | Texts:
        if isinstance(index, slice):
            return self.select(np.arange(*index.indices(len(self))))
        number = range(len(self))[index]  # from the end, too; IndexError
        if self._chosen is not None:
            number = int(self._chosen[number])
        return self._text(self._ends[number - 1] if number else 0, self._ends[number])

    def __iter__(self) -> Iterator[str]:
        for first in range(0, len(self), _BLOCK):
            block = slice(first, min(first + _BLOCK, len(self)))
            numbers = np.arange(block.start, block.stop) if self._chosen is None else self._chosen[block]
            starts = np.where(numbers > 0, self._ends[numbers - 1], 0)
            yield from map(self._text, starts.tolist(), self._ends[numbers].tolist())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(one == another for one, another in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:  # not every text
        return f"Texts({len(self)} of them)"

    def _text(self, start: int, end: int) -> str:
        return str(self._content[start:end].data, "utf-8", "surrogateescape")
