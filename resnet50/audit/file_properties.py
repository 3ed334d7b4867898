"""Issues of the image files themselves: size, aspect ratio, color mode, EXIF orientation, and what predicts a class."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from resnet50._io.fetch import Progress
from resnet50._io.text import are, listed, share_of
from resnet50._io.workers import in_order
from resnet50.audit.issue import EXAMPLES, AllImages, Issue, Place
from resnet50.data.dataset import Dataset
from resnet50.data.fit import DEFAULT_FIT, Fit
from resnet50.data.headers import Headers
from resnet50.data.images import Header, read_header
from resnet50.data.lazy_images import LazyImages
from resnet50.data.splits import DatasetSplits

CROPPED = 0.35
"""Share of an image that the crop removes, above which it is reported; a 3:2 image loses a third in a square."""

_MANY = 0.1  # share of the files that lose so much from which on another fit is advised

SPURIOUS = 0.9
"""A property predicts a class if at least this share of the class's files have it, and at least this share of the files
that have it are of the class."""

_LEAST = 10  # files of a class with a property, and files of other classes, that a spurious property needs
_SHOWN = 4  # examples of each class with a spurious property
_MODES = {
    "1": "black and white",
    "CMYK": "CMYK",
    "I;16": "16-bit gray",
    "L": "gray",
    "LA": "gray with transparency",
    "P": "palette",
    "RGB": "RGB",
    "RGBA": "RGB with transparency",
}


def read_headers(splits: DatasetSplits, *, progress: Progress | None = None) -> dict[str, Headers]:
    """Read the headers of image files, unless they are known: by ``splits.headers``, or by the images themselves.

    Args:
        splits: The splits; ``splits.root`` is the folder that their paths start from.
        progress: Called with the files that are read and their number.

    Returns:
        For each split a header for each image, None where its path is no file, such as a place in an h5 file; empty
        without a root, unless images are `LazyImages` of image files.
    """
    if splits.root is None:
        stored = {split: _stored(dataset) for split, dataset in splits.by_name.items()}
        return {split: headers for split, headers in stored.items() if headers is not None}
    root, done, total = splits.root, itertools.count(1), sum(len(dataset) for dataset in splits.by_name.values())

    def read(paths: Sequence[str]) -> Iterator[Header | None]:
        for header in in_order(lambda path: splits.headers.get(path) or _header(root / path), paths):
            yield header
            if progress is not None:
                progress(next(done), total)

    return {split: Headers.of(read(dataset.paths)) for split, dataset in splits.by_name.items()}


def _stored(dataset: Dataset) -> Headers | None:
    return dataset.images.file_headers if isinstance(dataset.images, LazyImages) else None


def _header(path: Path) -> Header | None:
    try:
        return read_header(path)
    except (OSError, ValueError):
        return None


def odd_files(images: AllImages, headers: Mapping[str, Headers], *, fit: Fit = DEFAULT_FIT) -> Iterator[Issue]:
    """Find files that are small, long, of mixed color modes or rotated, and properties that predict the class.

    Args:
        images: All images.
        headers: For each split a header for each image, None where there is no file.
        fit: How the images were fitted to their size.

    Yields:
        The issues.
    """
    files = _Files.of(images, headers)
    if len(files):
        yield from _low_resolution(images, files)
        yield from _odd_aspect_ratios(images, files, fit)
        yield from _spurious_properties(images, files)
        yield from _mixed_modes(images, files)
        yield from _exif_orientations(images, files)


@dataclass(frozen=True, eq=False)
class _Files:
    """The images that are files. A million of them have few different headers: each is looked at once.

    Attributes:
        numbers: Their numbers among all images, int64 ``(n,)``.
        kinds: The different headers.
        kind: Which of them each file has, int64 ``(n,)``.
    """

    numbers: np.ndarray
    kinds: tuple[Header, ...]
    kind: np.ndarray

    @classmethod
    def of(cls, images: AllImages, headers: Mapping[str, Headers]) -> _Files:
        """Return those of all images that have a header."""
        different: dict[Header, int] = {}
        kind = np.full(len(images), -1, np.int32)
        for split, start in zip(images.names, images.starts.tolist(), strict=True):
            if of_split := headers.get(split):
                table = [
                    -1 if header is None else different.setdefault(header, len(different)) for header in of_split.kinds
                ]
                kind[start : start + len(of_split)] = np.array(table)[of_split.numbers]
        numbers, kinds = np.flatnonzero(kind >= 0), tuple(different)
        used, kind_used = np.unique(kind[numbers], return_inverse=True)
        return cls(numbers, tuple(kinds[number] for number in used), kind_used)

    def __len__(self) -> int:
        return len(self.numbers)

    def values(self, property_of: Callable[[Header], float]) -> np.ndarray:
        """Return a number of each file, ``(n,)``."""
        return np.array([property_of(header) for header in self.kinds])[self.kind]

    def where(self, property_of: Callable[[Header], object], value: object = True) -> np.ndarray:
        """Return the places of the files whose header has this value of a property, int64 ``(m,)``."""
        return np.flatnonzero(np.array([property_of(header) == value for header in self.kinds])[self.kind])

    def examples(
        self, images: AllImages, places: np.ndarray, remark: Callable[[Header], str]
    ) -> tuple[tuple[Place, ...], ...]:
        """Return the first of some files as examples, each with a remark on its header."""
        first = places[:EXAMPLES]
        return images.each([(self.numbers[place], remark(self.kinds[self.kind[place]])) for place in first])


def _low_resolution(images: AllImages, files: _Files) -> Iterator[Issue]:
    image_size = min(next(iter(images.splits.values())).images.shape[1:3])
    sides = files.values(_short)
    small = np.flatnonzero(sides < image_size / 2)
    if len(small):
        yield Issue(
            kind="low-resolution",
            severity="note",
            summary=f"{share_of(len(small), len(files), 'files')} {are(small)} smaller than half of {image_size} "
            "pixels.",
            advice="Remove them, or train at a smaller image size; enlarging adds no detail.",
            examples=files.examples(images, small[np.argsort(sides[small], kind="stable")], _size),
        )


def _odd_aspect_ratios(images: AllImages, files: _Files, fit: Fit) -> Iterator[Issue]:
    def cut_off(header: Header) -> float:
        return 1 - fit.kept(header.width, header.height)

    lost = files.values(cut_off)
    long = np.flatnonzero(lost > CROPPED)
    if len(long):
        loses, many = "loses" if len(long) == 1 else "lose", len(long) > _MANY * len(files)
        yield Issue(
            kind="odd-aspect-ratio",
            severity="warning" if many else "note",
            summary=f"{share_of(len(long), len(files), 'files')} {loses} more than {CROPPED:.0%} of the area by the "
            "center crop.",
            advice="Train with --fit pad or --fit stretch, which show the whole image, unless what tells the classes "
            "apart is in the center."
            if many
            else "Check that the center shows the object, or train with --fit pad or --fit stretch.",
            examples=files.examples(
                images,
                long[np.argsort(-lost[long], kind="stable")],
                lambda header: f"{_size(header)}, {cut_off(header):.0%} cut off",
            ),
        )


def _mixed_modes(images: AllImages, files: _Files) -> Iterator[Issue]:
    if len({header.mode for header in files.kinds}) == 1:
        return
    counts = Counter[str]()
    for header, number in zip(files.kinds, np.bincount(files.kind).tolist(), strict=True):
        counts[_mode(header)] += number
    (usual, _), *others = counts.most_common()
    if others:
        odd = files.where(lambda header: _mode(header) != usual)
        yield Issue(
            kind="mixed-modes",
            severity="note",
            summary=f"{share_of(len(odd), len(files), 'files')} {are(odd)} not {usual}, as the others are: "
            f"{', '.join(f'{number:,} {mode}' for mode, number in others)}.",
            advice="All files are converted to RGB. Check that the color mode does not predict the class.",
            examples=files.examples(images, odd, _mode),
        )


def _exif_orientations(images: AllImages, files: _Files) -> Iterator[Issue]:
    oriented = files.where(lambda header: header.oriented)
    if len(oriented):
        yield Issue(
            kind="exif-orientation",
            severity="note",
            summary=f"{share_of(len(oriented), len(files), 'files')} {are(oriented)} stored rotated or mirrored, with "
            "the orientation in EXIF.",
            advice="They are turned upright here; a program that ignores EXIF shows them differently.",
            examples=files.examples(images, oriented, lambda header: ""),
        )


def _spurious_properties(images: AllImages, files: _Files) -> Iterator[Issue]:
    """Find classes whose files share a property that hardly any others have, which a network may learn instead."""
    found: dict[int, str] = {}
    examples: dict[int, tuple[Place, ...]] = {}
    pairs, counts = np.unique(images.labels[files.numbers] * len(files.kinds) + files.kind, return_counts=True)
    labels, kinds = np.divmod(pairs, len(files.kinds))
    counted = [
        (label, files.kinds[kind], number)
        for label, kind, number in zip(labels.tolist(), kinds.tolist(), counts.tolist(), strict=True)
    ]
    for property_of in (_sides, _mode, lambda header: header.format):
        for label, value in _predictive(counted, property_of):
            if label not in found:
                found[label] = value
                same = files.numbers[files.where(property_of, value)]
                examples[label] = tuple(images.place(number, value) for number in same[:_SHOWN])
    if found:
        names = [f"{images.class_names[label]} ({found[label]})" for label in sorted(found)]
        yield Issue(
            kind="spurious-property",
            severity="warning",
            summary=f"The size, color mode or format of the files predicts {len(names):,} of "
            f"{len(images.class_names):,} classes: {listed(names)}.",
            advice="Look at these images: a classifier may learn what the property leaves in the pixels, such as a "
            "border, instead of the content.",
            examples=tuple(examples[label] for label in sorted(found)),
        )


def _predictive(
    files: Sequence[tuple[int, Header, int]], property_of: Callable[[Header], str]
) -> Iterator[tuple[int, str]]:
    """Yield each class that a value of a property predicts, with the value.

    Args:
        files: Class, header and number of the files that have both.
        property_of: The property.
    """
    pairs, of_class, of_value = Counter[tuple[int, str]](), Counter[int](), Counter[str]()
    for label, header, count in files:
        pairs[label, property_of(header)] += count
    for (label, value), count in pairs.items():
        of_class[label] += count
        of_value[value] += count
    for (label, value), count in pairs.items():
        common = max(_LEAST, SPURIOUS * of_class[label], SPURIOUS * of_value[value])
        if count >= common and of_class.total() - of_class[label] >= _LEAST:
            yield label, value


def _size(header: Header) -> str:
    return f"{header.width} x {header.height} pixels"


def _sides(header: Header) -> str:
    """Name a size regardless of how the camera was held."""
    return f"{max(header.width, header.height)} x {min(header.width, header.height)} pixels"


def _short(header: Header) -> int:
    return min(header.width, header.height)


def _mode(header: Header) -> str:
    return _MODES.get(header.mode, header.mode)
