"""The audit's look at what the files of images say of themselves: sizes and forms."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from resnet50._io.fetch import Progress
from resnet50._io.text import are, listed, share_of
from resnet50._io.workers import in_order
from resnet50.audit.issue import AllImages, Issue, Place
from resnet50.data.dataset import Dataset
from resnet50.data.images import Header, read_header

LOST = 0.35
"""Share of an image that cutting its middle to a square takes off, above which it is told; of 3:2 that is a third."""

SPURIOUS = 0.9
"""Share of a class's files that have a form in common, and of the files of that form that are of the class, from which
the form tells the class."""

_LEAST = 10  # files of a form that can tell a class, and of the other classes that it is told from
_SHOWN = 4  # images that are named of such a class
_FORMS = {
    "1": "black and white",
    "CMYK": "CMYK",
    "I;16": "gray of 16 bits",
    "L": "gray",
    "LA": "gray with transparency",
    "P": "palette",
    "RGB": "RGB",
    "RGBA": "RGB with transparency",
}


def read_headers(
    splits: Mapping[str, Dataset], root: str | os.PathLike[str], *, progress: Progress | None = None
) -> dict[str, list[Header | None]]:
    """Read what the files of images say of themselves.

    Args:
        splits: The parts.
        root: Folder that their sources start from.
        progress: Called with the files that were read and their number.

    Returns:
        For each part a header for each image, None where its source is no file, such as a place in an h5 file.
    """
    root, done, total = Path(root), 0, sum(len(dataset) for dataset in splits.values())
    headers: dict[str, list[Header | None]] = {}
    for split, dataset in splits.items():
        headers[split] = []
        for header in in_order(lambda source: _header(root / source), dataset.paths):
            headers[split].append(header)
            done += 1
            if progress is not None:
                progress(done, total)
    return headers


def _header(path: Path) -> Header | None:
    try:
        return read_header(path)
    except (OSError, ValueError):
        return None


def odd_files(images: AllImages, headers: Mapping[str, Sequence[Header | None]]) -> Iterator[Issue]:
    """Find files that are small, long, of a mixed form or turned, and forms that tell the class.

    Args:
        images: All images.
        headers: For each part a header for each image, None where there is no file.

    Yields:
        What was found.
    """
    known = [
        (number, header)
        for split, start in zip(images.names, images.starts, strict=False)
        for number, header in enumerate(headers.get(split, ()), start)
        if header is not None
    ]
    if not known:
        return
    image_size = min(next(iter(images.splits.values())).images.shape[1:3])
    if small := [each for each in known if _short(each[1]) < image_size / 2]:
        small.sort(key=lambda each: _short(each[1]))
        yield Issue(
            kind="small",
            severity="note",
            summary=f"{share_of(len(small), len(known), 'files')} {are(small)} smaller than half of {image_size} pixels.",
            advice="Enlarging adds nothing: leave them out, or train at a smaller size.",
            examples=images.each([(number, _size(header)) for number, header in small]),
        )
    if long := [each for each in known if _lost(each[1]) > LOST]:
        long.sort(key=lambda each: -_lost(each[1]))
        yield Issue(
            kind="long",
            severity="note",
            summary=f"{share_of(len(long), len(known), 'files')} {are(long)} so long that cutting the middle to a square "
            f"loses more than {LOST:.0%}.",
            advice="Make sure that the middle shows what matters, or cut them yourself.",
            examples=images.each([(number, _size(header)) for number, header in long]),
        )
    yield from _spurious_properties(images, known)
    (usual, _), *others = Counter(_form(header) for _, header in known).most_common()
    if others:
        odd = [(number, _form(header)) for number, header in known if _form(header) != usual]
        yield Issue(
            kind="modes",
            severity="note",
            summary=f"{share_of(len(odd), len(known), 'files')} {are(odd)} of another form than the others, which are "
            f"{usual}: {', '.join(f'{count:,} {form}' for form, count in others)}.",
            advice="All become RGB. Make sure that the form does not tell the class.",
            examples=images.each(odd),
        )
    if turned := [(number, "") for number, header in known if header.oriented]:
        yield Issue(
            kind="turned",
            severity="note",
            summary=f"{share_of(len(turned), len(known), 'files')} {are(turned)} stored turned or mirrored, as their EXIF "
            "says.",
            advice="They are shown upright here; a program that passes over the EXIF shows them otherwise.",
            examples=images.each(turned),
        )


def _spurious_properties(images: AllImages, known: list[tuple[int, Header]]) -> Iterator[Issue]:
    """Find classes whose files have a form that hardly any others have; a network may learn that form alone."""
    labels = [int(images.labels[number]) for number, _ in known]
    of_class = Counter(labels)
    others = {label: len(known) - count for label, count in of_class.items()}
    told: dict[int, str] = {}
    examples: dict[int, tuple[Place, ...]] = {}
    for form in (_sides, _form, lambda header: header.format):
        forms = [form(header) for _, header in known]
        of_form = Counter(forms)
        for (label, value), count in Counter(zip(labels, forms, strict=True)).items():
            common = max(_LEAST, SPURIOUS * of_class[label], SPURIOUS * of_form[value])
            if count >= common and others[label] >= _LEAST and label not in told:
                alike = [number for (number, _), each in zip(known, forms, strict=True) if each == value]
                told[label] = f"{images.class_names[label]} ({value})"
                examples[label] = tuple(images.place(number, value) for number in alike[:_SHOWN])
    if told:
        yield Issue(
            kind="spurious-property",
            severity="warning",
            summary=f"{len(told):,} of {len(images.class_names):,} classes can be told by the form of their files: "
            f"{listed([told[label] for label in sorted(told)])}.",
            advice="A classifier may learn what the form leaves in the pixels, such as a border, in place of what they "
            "show: look at them.",
            examples=tuple(examples[label] for label in sorted(told)),
        )


def _size(header: Header) -> str:
    return f"{header.width} x {header.height} pixels"


def _sides(header: Header) -> str:
    """Name a size whichever way the camera was held."""
    return f"{max(header.width, header.height)} x {min(header.width, header.height)} pixels"


def _short(header: Header) -> int:
    return min(header.width, header.height)


def _lost(header: Header) -> float:
    return 1 - _short(header) / max(header.width, header.height)


def _form(header: Header) -> str:
    return _FORMS.get(header.mode, header.mode)
