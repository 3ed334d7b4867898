"""The audit: find what is wrong with images and labels before a network learns from them."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from resnet50._io.fetch import Progress
from resnet50._io.text import plural
from resnet50.audit.class_counts import count_issues
from resnet50.audit.damage import damaged_records
from resnet50.audit.duplicates import duplicates
from resnet50.audit.file_properties import odd_files, read_headers
from resnet50.audit.groups import folder_groups, other_columns, shared_groups, shared_subfolders
from resnet50.audit.issue import EXAMPLES, SEVERITIES, AllImages, Issue, Place
from resnet50.data.corrections import KEEP, LEAVE_OUT, RELABEL, Corrections
from resnet50.data.dataset import Dataset, Unreadable
from resnet50.data.fit import Fit
from resnet50.data.folder import compile_pattern
from resnet50.data.left_out import (
    DEAD_LINK,
    HIDDEN,
    MORE_FRAMES,
    NO_IMAGES,
    NOT_FINITE,
    NOT_IMAGE,
    OWN,
    LeftOut,
    describe_left_out,
)
from resnet50.data.loading import read_splits
from resnet50.data.options import DEFAULT_OPTIONS, ReadOptions
from resnet50.data.splits import DatasetSplits
from resnet50.datasets.source import DataSource

IMAGE_SIZE = 96
"""Height and width in pixels at which images are compared by default: enough for near-duplicates, and fast."""

_log = logging.getLogger(__name__)

_REFUSED = "Fix this first; training refuses the source too."

_ADVICE = {
    NOT_IMAGE: "Convert what should be learned from to JPEG or PNG.",
    HIDDEN: "Rename hidden images that should be learned from.",
    NO_IMAGES: "Fill folders with images, or remove them.",
    DEAD_LINK: "Mend or remove links to nothing.",
    OWN: "They are no images to learn from.",
    MORE_FRAMES: "Save frames that should be learned from as files of their own.",
    NOT_FINITE: "Check what wrote pixels that are NaN or infinite.",
}


@dataclass(frozen=True, eq=False)
class Audit:
    """The result of `check`.

    Attributes:
        name: Name of the dataset.
        splits: The images that were audited; without any split if the source cannot be used.
        issues: What is wrong with them, the worst first.
        test_split: Share of the images that training cuts off where there is no test split.
    """

    name: str
    splits: DatasetSplits
    issues: tuple[Issue, ...]
    test_split: float = DEFAULT_OPTIONS.test_split

    @property
    def has_errors(self) -> bool:
        """Whether scores on these data would be wrong, or training would refuse them."""
        return any(issue.severity == "error" for issue in self.issues)


def check(
    source: str | os.PathLike[str] | DataSource | Dataset | DatasetSplits,
    *,
    image_size: int = IMAGE_SIZE,
    fit: Fit | None = None,
    options: ReadOptions = DEFAULT_OPTIONS,
    validation_split: float = 0.15,
    progress: Progress | None = None,
) -> Audit:
    """Find what is wrong with a dataset: near-duplicates, leakage, label conflicts, small classes, odd files.

    Whatever training would refuse is an error too, such as a class of one image.

    Args:
        source: A folder, CSV file or h5 file (`resnet50.data.loading.read_splits`); a `DataSource`, which is read and
            split as training does; or images in memory. A single `Dataset` is checked as a training split.
        image_size: Height and width in pixels at which images of a path or `DataSource` are compared. Files smaller
            than half of it are reported.
        fit: How these images are fitted to it, as in `DataSource.load`.
        options: How a path is read; a `DataSource` has options of its own.
        validation_split: Share of the training images that the recipe holds out (`resnet50.Recipe`).
        progress: Called with the steps that are done and their number; starts over after the images are read, and
            where they are compared with the cache, decoded and cut, or the records with their hashes.

    Returns:
        The audit, without splits if the source cannot be read.

    Raises:
        FileNotFoundError: If nothing is there.
        ValueError: If ``image_size`` is not positive, the options do not fit the source, or there are no images.
    """
    if image_size < 1:
        raise ValueError(f"expected image_size of at least 1 pixel, got {image_size!r}.")
    if options != DEFAULT_OPTIONS:
        _check_options(source, options)
    if isinstance(source, Dataset):
        source = DatasetSplits(train=source)
    options = source.options if isinstance(source, DataSource) else options
    if isinstance(source, DatasetSplits):
        read = _Read(source)
    else:
        try:
            read = _read(source, image_size, fit, options, progress)
        except ValueError as error:  # training would refuse it as well, for instance a table without a column label
            return Audit(_name_of(source), DatasetSplits(), (_unusable(str(error)),))
    share = options.test_split
    if damaged := tuple(damaged_records(read.splits, progress=progress)):  # which cannot be compared
        images = sum(map(len, read.splits.by_name.values()))
        others = _reading_issues(read.splits, images, read.too_many_unreadable)
        return Audit(_name(read.splits), read.splits, (*damaged, *others), share)
    _log.info("comparing images")
    issues = find_issues(read.splits, refused=read.too_many_unreadable, test_split=share, progress=progress)
    refused = read.refused
    if not any(issue.kind == "missing-class" and issue.severity == "error" for issue in issues):
        refused = refused or _refused_by_training(read.splits, share, validation_split)
    if refused:
        issues = (_unusable(refused), *issues)
    return Audit(_name(read.splits), read.splits, issues, share)


def find_issues(
    splits: DatasetSplits,
    *,
    refused: str = "",
    test_split: float = DEFAULT_OPTIONS.test_split,
    progress: Progress | None = None,
) -> tuple[Issue, ...]:
    """Find what is wrong with images that are loaded.

    Args:
        splits: The splits, all of the same classes and size; images may be memory maps of files larger than memory.
            Properties of the files are included if ``splits.root`` is set or the images are in packed records.
        refused: Why training refuses the source, one line, if it has too many unreadable files; else empty.
        test_split: Share of the images that training cuts off where there is no test split.
        progress: Called with the steps that are done and their number.

    Returns:
        The issues, the worst first.

    Raises:
        ValueError: If there are no images, or the splits do not have the same classes.
    """
    images = AllImages(splits.by_name)
    first, second = _in_two_stages(progress, len(images) if splits.root else 0, 3 * len(images))
    headers = read_headers(splits, progress=first)
    issues = [
        *_reading_issues(splits, len(images), refused),
        *duplicates(images, splits, progress=second),
        *shared_groups(images),
        *folder_groups(images),
        *shared_subfolders(images, splits.root),
        *other_columns(images, splits.other_columns),
        *count_issues(images, test_split=test_split),
        *odd_files(images, headers, fit=splits.fit),
    ]
    return tuple(sorted(issues, key=lambda issue: SEVERITIES.index(issue.severity)))


def _check_options(source: str | os.PathLike[str] | DataSource | Dataset | DatasetSplits, options: ReadOptions) -> None:
    """Refuse options that are wrong themselves, which is not the fault of the data."""
    if isinstance(source, DataSource | Dataset | DatasetSplits):
        if not isinstance(source, DataSource) or options != source.options:
            raise ValueError(
                f"expected options only with a path, got them with a {type(source).__name__}; leave them out."
            )
    elif options.groups and Path(source).exists() and not Path(source).is_dir():
        raise ValueError(f"{source}: expected a folder with subfolders for groups, got a file; leave out groups.")
    elif options.pattern is not None:
        compile_pattern(options.pattern)
        if Path(source).exists() and not Path(source).is_dir():
            raise ValueError(
                f"{source}: expected a folder to search with a pattern, got a file; leave out the pattern."
            )


class _Read(NamedTuple):
    """A source that was read: its splits, and why training refuses it, or ""."""

    splits: DatasetSplits
    too_many_unreadable: str = ""
    refused: str = ""


def _read(
    source: str | os.PathLike[str] | DataSource,
    image_size: int,
    fit: Fit | None,
    options: ReadOptions,
    progress: Progress | None,
) -> _Read:
    """Read a source however many files are unreadable, and if it is only fit to be scored."""
    if isinstance(source, DataSource) and source.task != "folder":
        return _Read(source.load(image_size, fit=fit, progress=progress))

    def read(options: ReadOptions, *, for_training: bool = True) -> DatasetSplits:
        path = source
        if isinstance(path, DataSource):
            if for_training or path.path is None:
                return replace(path, options=options).load(image_size, fit=fit, progress=progress)
            path = path.path
        return read_splits(
            path, image_size=image_size, fit=fit, options=options, for_training=for_training, progress=progress
        )

    lenient = replace(options, max_unreadable=1.0)
    try:
        splits = read(lenient)
    except ValueError as error:
        try:
            return _Read(read(lenient, for_training=False), refused=str(error))
        except ValueError:
            raise error from None
    if splits.unreadable:
        try:
            read(options)  # now from the cache
        except ValueError as error:
            return _Read(splits, too_many_unreadable=str(error))
    return _Read(splits)


def _refused_by_training(splits: DatasetSplits, test_split: float, validation_split: float) -> str:
    """Cut the splits as training does; return why that fails, or ""."""
    try:
        if splits.test is None:
            splits = splits.cut(test_split, into="test", seed=0)
        splits.check_trainable()
        splits.hold_out(validation_split, seed=0)
    except ValueError as error:
        return str(error)
    return ""


def _unusable(refused: str) -> Issue:
    return Issue("unusable", "error", refused, _REFUSED)


def _name(splits: DatasetSplits) -> str:
    return next((dataset.name for dataset in splits.by_name.values()), "")


def _name_of(source: str | os.PathLike[str] | DataSource) -> str:
    if isinstance(source, DataSource):
        return Path(source.path).resolve().name if source.path else source.task
    return Path(source).resolve().name


def _reading_issues(splits: DatasetSplits, count: int, refused: str) -> Iterator[Issue]:
    """Yield what was found as the images were read."""
    yield from _unreadable(splits.unreadable, count, refused)
    yield from _left_out(splits.left_out)
    yield from _corrected(splits.corrections)


def _unreadable(unreadable: tuple[Unreadable, ...], read: int, refused: str) -> Iterator[Issue]:
    if unreadable:
        yield Issue(
            kind="unreadable",
            severity="error" if refused else "warning",
            summary=refused or f"{len(unreadable):,} of {plural(len(unreadable) + read, 'file')} cannot be read.",
            advice=_REFUSED if refused else "Repair or remove the files; training leaves them out.",
            examples=tuple((Place(path=file.path, remark=file.reason),) for file in unreadable[:EXAMPLES]),
        )


def _left_out(left_out: tuple[LeftOut, ...]) -> Iterator[Issue]:
    if left_out:
        beside = all(not each.place or each.reason == OWN for each in left_out)  # as a text about the images may be
        yield Issue(
            kind="left-out",
            severity="note" if beside else "warning",
            summary=f"Left out: {describe_left_out(left_out)}.",
            advice=" ".join(dict.fromkeys(_ADVICE[each.reason] for each in left_out)),
        )


def _corrected(corrections: Corrections | None) -> Iterator[Issue]:
    if corrections is not None:
        changed = [row for row in corrections.rows if row.action != KEEP]
        remarks = {RELABEL: "relabeled as {}", LEAVE_OUT: "left out"}
        yield Issue(
            kind="corrections",
            severity="note",
            summary=f"{corrections.describe()}.",
            advice="The image files are as they were; without the file, so are the labels.",
            examples=tuple(
                (Place(row.path, class_name=row.label, remark=remarks[row.action].format(row.new_label)),)
                for row in changed[:EXAMPLES]
            ),
        )


def _in_two_stages(progress: Progress | None, first: int, second: int) -> tuple[Progress | None, Progress | None]:
    """Return the progress of each of two stages with this many steps, both reported out of the sum."""
    if progress is None:
        return None, None
    total = first + second
    return (lambda done, _: progress(done, total)), (lambda done, _: progress(first + done, total))
