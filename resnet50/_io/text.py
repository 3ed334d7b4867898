"""Counts, verbs and lists for messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence, Sized

_NAMED = 5  # names that a message lists


def plural(count: int, thing: str) -> str:
    """Return a count with its thing, in the plural where it is one."""
    many = f"{thing}{'es' if thing.endswith('s') else 's'}"
    return f"{count:,} {thing if count == 1 else many}"


def share_of(count: int, whole: int, what: str) -> str:
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


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """Return the end of a message on a word that is not a name: ``"; did you mean NAME?"``, or a full stop."""
    near = difflib.get_close_matches(word, list(names), n=1)
    return f"; did you mean {near[0]}?" if near else "."
