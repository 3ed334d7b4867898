"""What a source holds that is not used: counted, and described in one line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from resnet50._io.text import listed, plural, printable

NOT_IMAGE = "not-image"
HIDDEN = "hidden"
NO_IMAGES = "no-images"
DEAD_LINK = "dead-link"
OWN = "own"
MORE_FRAMES = "more-frames"
NOT_FINITE = "not-finite"

FOUND_IN_FILES = (MORE_FRAMES, NOT_FINITE)
"""Reasons that are known once files are opened; the others are known from their names."""

REASONS: Mapping[str, str] = MappingProxyType(
    {
        NOT_IMAGE: "A file without the suffix of an image.",
        HIDDEN: "An image whose name begins with a dot.",
        NO_IMAGES: "A folder of a class or split without images.",
        DEAD_LINK: "A link to a file or folder that does not exist.",
        OWN: "A file that this library wrote: a figure, or a file of a run, a report or an export.",
        MORE_FRAMES: "The frames of an animation, or the pages of a TIFF, after the first, which is used.",
        NOT_FINITE: "Pixels of a floating-point image that are NaN or infinite; the image is used.",
    }
)
"""Each reason why something is left out (`LeftOut.reason`), with what it means."""


@dataclass(frozen=True, order=True)
class LeftOut:
    """What is left out of one class or split for one reason, with one suffix.

    Attributes:
        reason: A key of `REASONS`.
        place: Folder of the class or split below the source's, with ``/`` between names; the name of the class in a
            source without folders; "" for the source's own folder.
        suffix: Suffix of the files' names in lower case, such as ``".dcm"``; "" for none, and for folders and links.
        count: Number of files, folders or links.
    """

    reason: str
    place: str
    suffix: str
    count: int


def count_left_out(found: Iterable[tuple[str, str, str]]) -> tuple[LeftOut, ...]:
    """Count what is left out by its reason, place and suffix."""
    return tuple(sorted(LeftOut(*key, count) for key, count in Counter(found).items()))


def describe_left_out(left_out: Sequence[LeftOut]) -> str:
    """Return one line on what is left out, such as ``2 links to nothing: cats, dogs``; or ""."""
    rows = {reason: [each for each in left_out if each.reason == reason] for reason in REASONS}
    return "; ".join(_phrase(reason, of_reason) for reason, of_reason in rows.items() if of_reason)


def _phrase(reason: str, rows: Sequence[LeftOut]) -> str:
    count = sum(each.count for each in rows)
    places = listed([printable(place) or "the top folder" for place in sorted({each.place for each in rows})])
    if reason == NO_IMAGES:
        return f"{plural(count, 'folder')} without images: {places}"
    if reason == DEAD_LINK:
        return f"{plural(count, 'link')} to nothing: {places}"
    words = {
        NOT_IMAGE: f"{plural(count, 'file')} without the suffix of an image",
        HIDDEN: plural(count, "hidden image"),
        OWN: f"{plural(count, 'file')} that resnet50 wrote",
        NOT_FINITE: f"pixels that are NaN or infinite in {plural(count, 'image')}",
        MORE_FRAMES: f"all frames or pages but the first of {plural(count, 'file')}",
    }
    return f"{words[reason]} ({_suffixes(rows)}) in {places}"


def _suffixes(rows: Sequence[LeftOut]) -> str:
    counts: Counter[str] = Counter()
    for each in rows:
        counts[each.suffix] += each.count
    return listed([f"{count:,} {printable(suffix) or 'without suffix'}" for suffix, count in counts.most_common()])
