"""The audit: find what is wrong with images and labels before a network learns from them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from resnet50._io.fetch import Progress
from resnet50._io.text import plural
from resnet50.audit.class_counts import count_issues
from resnet50.audit.duplicates import duplicates
from resnet50.audit.file_properties import odd_files, read_headers
from resnet50.audit.groups import shared_groups
from resnet50.audit.issue import EXAMPLES, SEVERITIES, AllImages, Issue, Place
from resnet50.data.dataset import Dataset, Unreadable
from resnet50.data.fit import Fit
from resnet50.data.folder import compile_pattern
from resnet50.data.loading import read_splits
from resnet50.data.options import DEFAULT_OPTIONS, ReadOptions
from resnet50.data.splits import DatasetSplits
from resnet50.datasets.source import DataSource


@dataclass(frozen=True, eq=False)
class Audit:
    """The result of `check`.

    Attributes:
        name: Name of the dataset.
        splits: The images that were audited; without any split if the source cannot be used.
        issues: What is wrong with them, the worst first.
    """

    name: str
    splits: DatasetSplits
    issues: tuple[Issue, ...]

    @property
    def has_errors(self) -> bool:
        """Whether scores on these data would be wrong, or training would refuse them."""
        return any(issue.severity == "error" for issue in self.issues)


def check(
    source: str | os.PathLike[str] | DataSource | Dataset | DatasetSplits,
    *,
    image_size: int = 96,
    fit: Fit | None = None,
    options: ReadOptions = DEFAULT_OPTIONS,
    progress: Progress | None = None,
) -> Audit:
    """Find what is wrong with a dataset: near-duplicates, leakage, label conflicts, small classes, odd files.

    Args:
        source: A folder, CSV file or h5 file (`resnet50.data.loading.read_splits`); a `DataSource`, which is read and
            split as training does; or images in memory. A single `Dataset` is checked as a training split.
        image_size: Height and width in pixels at which images of a path or `DataSource` are compared. Files smaller
            than half of it are reported.
        fit: How these images are fitted to it, as in `DataSource.load`.
        options: How a path is read; a `DataSource` has options of its own.
        progress: Called with the steps that are done and their number; starts over after the images are read.

    Returns:
        The audit. A source that training would refuse, such as one with too many unreadable files, is an issue of
        severity ``"error"``.

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
    if isinstance(source, DatasetSplits):
        return Audit(_name(source), source, find_issues(source, progress=progress))
    try:
        splits, refused = _read(source, image_size, fit, options, progress)
    except ValueError as error:  # training would refuse it as well, for instance labels that name no class
        issue = Issue("unusable", "error", str(error), "Fix this first; training refuses the source too.")
        return Audit(_name_of(source), DatasetSplits(), (issue,))
    return Audit(_name(splits), splits, find_issues(splits, refused=refused, progress=progress))


def find_issues(splits: DatasetSplits, *, refused: str = "", progress: Progress | None = None) -> tuple[Issue, ...]:
    """Find what is wrong with images that are loaded.

    Args:
        splits: The splits, all of the same classes and size; images may be memory maps of files larger than memory.
            Properties of the files are included if ``splits.root`` is set.
        refused: Why training refuses the source, one line, if it has too many unreadable files; else empty.
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
        *_unreadable(splits.unreadable, len(images), refused),
        *duplicates(images, splits, progress=second),
        *shared_groups(images),
        *count_issues(images),
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
    elif options.pattern is not None:
        compile_pattern(options.pattern)
        if Path(source).exists() and not Path(source).is_dir():
            raise ValueError(
                f"{source}: expected a folder to search with a pattern, got a file; leave out the pattern."
            )


def _read(
    source: str | os.PathLike[str] | DataSource,
    image_size: int,
    fit: Fit | None,
    options: ReadOptions,
    progress: Progress | None,
) -> tuple[DatasetSplits, str]:
    """Read a source however many files are unreadable; return the splits, and why training refuses them or ""."""
    if not isinstance(source, DataSource):
        return _read_leniently(
            lambda lenient: read_splits(source, image_size=image_size, fit=fit, options=lenient, progress=progress),
            options,
        )
    if source.task == "folder":  # the only one that takes options
        return _read_leniently(
            lambda lenient: replace(source, options=lenient).load(image_size, fit=fit, progress=progress),
            source.options,
        )
    return source.load(image_size, fit=fit, progress=progress), ""


def _read_leniently(read: Callable[[ReadOptions], DatasetSplits], options: ReadOptions) -> tuple[DatasetSplits, str]:
    splits = read(replace(options, max_unreadable=1.0))
    if splits.unreadable:
        try:
            read(options)  # now from the cache
        except ValueError as error:
            return splits, str(error)
    return splits, ""


def _name(splits: DatasetSplits) -> str:
    return next((dataset.name for dataset in splits.by_name.values()), "")


def _name_of(source: str | os.PathLike[str] | DataSource) -> str:
    if isinstance(source, DataSource):
        return Path(source.path).resolve().name if source.path else source.task
    return Path(source).resolve().name


def _unreadable(unreadable: tuple[Unreadable, ...], read: int, refused: str) -> Iterator[Issue]:
    if unreadable:
        yield Issue(
            kind="unreadable",
            severity="error" if refused else "warning",
            summary=refused or f"{len(unreadable):,} of {plural(len(unreadable) + read, 'file')} cannot be read.",
            advice="Repair or remove the files, or train with a higher --max-unreadable."
            if refused
            else "Repair or remove the files; training leaves them out.",
            examples=tuple((Place(path=file.path, remark=file.reason),) for file in unreadable[:EXAMPLES]),
        )


def _in_two_stages(progress: Progress | None, first: int, second: int) -> tuple[Progress | None, Progress | None]:
    """Return the progress of each of two stages with this many steps, both reported out of the sum."""
    if progress is None:
        return None, None
    total = first + second
    return (lambda done, _: progress(done, total)), (lambda done, _: progress(first + done, total))
