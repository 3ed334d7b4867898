"""Issues of the image files themselves: size, aspect ratio, color mode, EXIF orientation, and what predicts a class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from resnet50._io.fetch import Progress
from resnet50._io.text import are, listed, share_of
from resnet50._io.workers import in_order
from resnet50.audit.issue import AllImages, Issue, Place
from resnet50.data.dataset import Dataset
from resnet50.data.fit import DEFAULT_FIT, Fit
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

_Known = list[tuple[int, Header]]  # numbers of the images that are files, with their headers


def read_headers(splits: DatasetSplits, *, progress: Progress | None = None) -> dict[str, list[Header | None]]:
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
    root, done, total = splits.root, 0, sum(len(dataset) for dataset in splits.by_name.values())
    headers: dict[str, list[Header | None]] = {}
    for split, dataset in splits.by_name.items():
        headers[split] = []
        for header in in_order(lambda path: splits.headers.get(path) or _header(root / path), dataset.paths):
            headers[split].append(header)
            done += 1
            if progress is not None:
                progress(done, total)
    return headers


def _stored(dataset: Dataset) -> list[Header | None] | None:
    return dataset.images.file_headers if isinstance(dataset.images, LazyImages) else None


def _header(path: Path) -> Header | None:
    try:
        return read_header(path)
    except (OSError, ValueError):
        return None


def odd_files(
    images: AllImages, headers: Mapping[str, Sequence[Header | None]], *, fit: Fit = DEFAULT_FIT
) -> Iterator[Issue]:
    """Find files that are small, long, of mixed color modes or rotated, and properties that predict the class.

    Args:
        images: All images.
        headers: For each split a header for each image, None where there is no file.
        fit: How the images were fitted to their size.

    Yields:
        The issues.
    """
    known = [
        (number, header)
        for split, start in zip(images.names, images.starts, strict=False)
        for number, header in enumerate(headers.get(split, ()), start)
        if header is not None
    ]
    if known:
        yield from _low_resolution(images, known)
        yield from _odd_aspect_ratios(images, known, fit)
        yield from _spurious_properties(images, known)
        yield from _mixed_modes(images, known)
        yield from _exif_orientations(images, known)


def _low_resolution(images: AllImages, known: _Known) -> Iterator[Issue]:
    image_size = min(next(iter(images.splits.values())).images.shape[1:3])
    small = sorted((each for each in known if _short(each[1]) < image_size / 2), key=lambda each: _short(each[1]))
    if small:
        yield Issue(
            kind="low-resolution",
            severity="note",
            summary=f"{share_of(len(small), len(known), 'files')} {are(small)} smaller than half of {image_size} "
            "pixels.",
            advice="Remove them, or train at a smaller image size; enlarging adds no detail.",
            examples=images.each([(number, _size(header)) for number, header in small]),
        )


def _odd_aspect_ratios(images: AllImages, known: _Known, fit: Fit) -> Iterator[Issue]:
    shapes = {(header.width, header.height) for _, header in known}
    lost = {shape: 1 - fit.kept(*shape) for shape in shapes}
    cut_off = ((number, header, lost[header.width, header.height]) for number, header in known)
    long = sorted((each for each in cut_off if each[2] > CROPPED), key=lambda each: -each[2])
    if long:
        loses, many = "loses" if len(long) == 1 else "lose", len(long) > _MANY * len(known)
        yield Issue(
            kind="odd-aspect-ratio",
            severity="warning" if many else "note",
            summary=f"{share_of(len(long), len(known), 'files')} {loses} more than {CROPPED:.0%} of the area by the "
            "center crop.",
            advice="Train with --fit pad or --fit stretch, which show the whole image, unless what tells the classes "
            "apart is in the center."
            if many
            else "Check that the center shows the object, or train with --fit pad or --fit stretch.",
            examples=images.each([(number, f"{_size(header)}, {share:.0%} cut off") for number, header, share in long]),
        )


def _mixed_modes(images: AllImages, known: _Known) -> Iterator[Issue]:
    if len({header.mode for _, header in known}) == 1:
        return
    (usual, _), *others = Counter(_mode(header) for _, header in known).most_common()
    if others:
        odd = [(number, _mode(header)) for number, header in known if _mode(header) != usual]
        yield Issue(
            kind="mixed-modes",
            severity="note",
            summary=f"{share_of(len(odd), len(known), 'files')} {are(odd)} not {usual}, as the others are: "
            f"{', '.join(f'{count:,} {mode}' for mode, count in others)}.",
            advice="All files are converted to RGB. Check that the color mode does not predict the class.",
            examples=images.each(odd),
        )


def _exif_orientations(images: AllImages, known: _Known) -> Iterator[Issue]:
    if oriented := [(number, "") for number, header in known if header.oriented]:
        yield Issue(
            kind="exif-orientation",
            severity="note",
            summary=f"{share_of(len(oriented), len(known), 'files')} {are(oriented)} stored rotated or mirrored, with "
            "the orientation in EXIF.",
            advice="They are turned upright here; a program that ignores EXIF shows them differently.",
            examples=images.each(oriented),
        )


def _spurious_properties(images: AllImages, known: _Known) -> Iterator[Issue]:
    """Find classes whose files share a property that hardly any others have, which a network may learn instead."""
    values: dict[int, str] = {}
    examples: dict[int, tuple[Place, ...]] = {}
    # a million records share a few headers: each property is looked at once for each header of a class
    headers = {id(header): header for _, header in known}
    labels = images.labels[[number for number, _ in known]].tolist()
    counts = Counter(zip(labels, (id(header) for _, header in known), strict=True))
    files = [(label, headers[key], count) for (label, key), count in counts.items()]
    for property_of in (_sides, _mode, lambda header: header.format):
        for label, value in _predictive(files, property_of):
            if label not in values:
                values[label] = value
                same = [number for number, header in known if property_of(header) == value]
                examples[label] = tuple(images.place(number, value) for number in same[:_SHOWN])
    if values:
        names = [f"{images.class_names[label]} ({values[label]})" for label in sorted(values)]
        yield Issue(
            kind="spurious-property",
            severity="warning",
            summary=f"The size, color mode or format of the files predicts {len(names):,} of "
            f"{len(images.class_names):,} classes: {listed(names)}.",
            advice="Look at these images: a classifier may learn what the property leaves in the pixels, such as a "
            "border, instead of the content.",
            examples=tuple(examples[label] for label in sorted(values)),
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
