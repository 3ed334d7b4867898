"""The page of an audit: each issue with its images, and the classes of the dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from resnet50._io.text import plural
from resnet50.audit.check import Audit
from resnet50.audit.issue import SEVERITIES, Issue, Place
from resnet50.data.dataset import Dataset
from resnet50.data.fit import Fit
from resnet50.data.images import read_header, read_image
from resnet50.data.splits import DatasetSplits
from resnet50.reports.pages import LARGEST, page_image, render

SHOWN = 16
"""Most examples of an issue on the page."""

PER_CLASS = 4
"""Most sample images of a class on the page."""

SAMPLES = 240
"""Most sample images of all classes together; more only to show one of each class."""


def audit_page(audit: Audit) -> str:
    """Return the page of an audit, as HTML text."""
    counts = Counter(issue.severity for issue in audit.issues)
    splits = audit.splits.by_name
    readable = not any(issue.kind == "damaged" for issue in audit.issues)
    return render(
        "audit.html.j2",
        audit=audit,
        summary=summarize(audit.issues),
        contents=contents(splits, audit.test_split),
        severities={severity: counts[severity] for severity in SEVERITIES},
        issues=[
            shown_issue(issue, audit.splits)
            for severity in SEVERITIES
            for issue in audit.issues
            if issue.severity == severity
        ],
        most_shown=SHOWN,
        split_names=list(splits),
        classes=_class_counts(splits),
        samples=list(_samples(next(iter(splits.values())))) if splits and readable else [],
    )


def summarize(issues: Sequence[Issue]) -> str:
    """Return the number of issues of each severity, such as ``"1 error, 2 notes"``."""
    counts = Counter(issue.severity for issue in issues)
    return ", ".join(plural(counts[name], name) for name in SEVERITIES if counts[name]) or "no issues found"


def contents(splits: Mapping[str, Dataset], test_split: float) -> str:
    """Return a line with the number of images in each split, the classes and the image size; "" without any split."""
    if not splits:
        return ""
    first = next(iter(splits.values()))
    counts = ", ".join(f"{len(dataset):,} {split}" for split, dataset in splits.items())
    height, width = first.images.shape[1:3]
    cut = "" if "test" in splits else f" There is no test split; training cuts off {test_split:.0%} for it."
    classes = plural(len(first.class_names), "class")
    return f"{counts} images of {classes}, compared at {height} x {width} pixels.{cut}"


def shown_issue(issue: Issue, splits: DatasetSplits) -> dict[str, Any]:
    """Return an issue with the files and the images of its examples, which are in these splits."""
    in_splits = [example for example in issue.examples if all(place.index is not None for place in example)]
    return {
        "issue": issue,
        "files": [place for example in issue.examples for place in example if place.index is None],
        "groups": [
            [*_uncropped(issue, example, splits.root), *(_example(place, splits.by_name) for place in example)]
            for example in in_splits[:SHOWN]
        ],
        "more": len(in_splits) > SHOWN,
    }


def _example(place: Place, splits: Mapping[str, Dataset]) -> dict[str, Any]:
    return {"place": place, "image": page_image(splits[place.split].images[place.index])}


def _uncropped(issue: Issue, example: Sequence[Place], root: Path | None) -> Iterator[dict[str, Any]]:
    """Yield the whole images of an issue with the crop, which stand before what the crop shows of them."""
    if issue.kind == "odd-aspect-ratio" and root is not None:
        for place in example:
            with suppress(OSError, ValueError):  # the file may have gone since it was read
                yield {
                    "place": replace(place, remark="the whole image"),
                    "image": page_image(_whole(root / place.path)),
                }


def _whole(path: Path) -> np.ndarray:
    """Read an image in its own shape; padding would hide an end of its color."""
    header = read_header(path)
    scale = LARGEST / max(header.width, header.height)
    height, width = (max(1, round(side * scale)) for side in (header.height, header.width))
    return read_image(path, height=height, width=width, fit=Fit(mode="stretch"))


def _class_counts(splits: Mapping[str, Dataset]) -> list[dict[str, Any]]:
    """Return the number of images of each class in each split."""
    if not splits:
        return []
    names = next(iter(splits.values())).class_names
    counts = [np.bincount(dataset.labels, minlength=len(names)).tolist() for dataset in splits.values()]
    return [{"name": name, "counts": of_class} for name, *of_class in zip(names, *counts, strict=True)]


def _samples(dataset: Dataset) -> Iterator[dict[str, Any]]:
    """Yield some images of each class, always the same."""
    most = max(1, min(PER_CLASS, SAMPLES // len(dataset.class_names)))
    rng = np.random.default_rng(0)
    for label, name in enumerate(dataset.class_names):
        indices = np.flatnonzero(dataset.labels == label)
        chosen = np.sort(rng.choice(indices, min(most, len(indices)), replace=False))
        if len(chosen):
            images = [{"image": page_image(dataset.images[k]), "path": dataset.paths[k]} for k in chosen]
            yield {"name": name, "images": images}
