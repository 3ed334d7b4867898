"""Word counts and lists in messages, and make text printable."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Sequence, Sized

_ESCAPED = {"Cc", "Cs", "Zl", "Zp"}  # control characters, bytes that are not UTF-8, line breaks
_JOINERS = dict.fromkeys((0x200C, 0x200D))  # they have no width of their own, but shape the letters beside them
_SHOWN = 1_000  # characters of a value in a message
_BIDI = {*"\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"}  # they reorder what stands around them


def plural(count: int, noun: str) -> str:
    """Return a count with its noun, such as ``1 file`` or ``1,200 classes``."""
    many = f"{noun}{'es' if noun.endswith('s') else 's'}"
    return f"{count:,} {noun if count == 1 else many}"


def share_of(count: int, total: int, noun: str) -> str:
    """Return a count with its total and share, such as ``3 of 60 images (5.0%)``."""
    return f"{count:,} of {total:,} {noun} ({count / total:.1%})"


def have(items: Sized | int) -> str:
    """Return "has" for one item, "have" for any other number."""
    return "has" if _count(items) == 1 else "have"


def are(items: Sized | int) -> str:
    """Return "is" for one item, "are" for any other number."""
    return "is" if _count(items) == 1 else "are"


def _count(items: Sized | int) -> int:
    return items if isinstance(items, int) else len(items)


def listed(names: Sequence[str], *, most: int = 5) -> str:
    """Return the first names, as `printable` shows them and not longer than fits, and the number of others."""
    first = ", ".join(name if len(name) <= _SHOWN else f"{name[:_SHOWN]} …" for name in map(printable, names[:most]))
    return first + (f" and {len(names) - most:,} more" if len(names) > most else "")


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """Return the end of a message on a word that is not a name: ``"; did you mean NAME?"``, or a full stop."""
    every = list(names)
    longer = [name for name in every if name.startswith(word)]
    near = difflib.get_close_matches(word, longer or every, n=1)
    return f"; did you mean {near[0]}?" if near else "."


def short(value: object) -> str:
    """Return a value as Python writes it, cut where it would fill the screen: values from files may have any size."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} …"


def check_printable(names: Iterable[str], expected: str) -> None:
    """Refuse names with characters that `printable` escapes, such as those that move a terminal's cursor.

    Args:
        names: Names that are stored and shown, such as those of classes.
        expected: Start of the message, such as ``"model.keras: expected class names"``.

    Raises:
        ValueError: If there is such a name.
    """
    for name in names:
        if printable(name) != name:
            raise ValueError(f"{expected} without control characters and line breaks, got {printable(name)[:80]!r}.")


def can_be_shown(name: str) -> bool:
    """Return whether a name is not empty and each of its characters is shown, in any script.

    Persian and Indic words and many emoji have joiners, which Python does not count as printable.
    """
    bare = name.translate(_JOINERS)
    return bool(bare) and bare.isprintable()


def printable(text: object) -> str:
    """Return a text with its control characters escaped: a file's name may hold any, and bytes that are not UTF-8."""
    return "".join(
        c.encode("unicode_escape").decode() if unicodedata.category(c) in _ESCAPED or c in _BIDI else c
        for c in str(text)
    )


def duration(seconds: float) -> str:
    """Return a duration in its two largest units, such as ``"2 min 18 s"``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
