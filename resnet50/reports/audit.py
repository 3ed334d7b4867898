"""The audit's page: each finding with its images, and what the data set holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from resnet50._io.text import plural
from resnet50.audit.issue import SEVERITIES, Issue, Place
from resnet50.data.dataset import Dataset
from resnet50.reports.page import Page, PageImage

SHOWN = 16
"""Most examples of a finding that are shown."""

OF_CLASS = 4
"""Most images of a class that are shown."""

PICTURES = 240
"""Most images that are shown of all classes together, if that leaves one of each."""


def check_page(issues: Sequence[Issue], splits: Mapping[str, Dataset], *, title: str) -> Page:
    """Write a page on what the audit found.

    Args:
        findings: What was found.
        splits: The parts of the data set that was looked at, whose images are shown; none if it cannot be read.
        title: Name of the data set.

    Returns:
        The page.
    """
    counts = Counter(issue.severity for issue in issues)
    page = Page(f"{title}: {summarize(issues)}", contents(splits))
    page.add_facts([(f"{severity}s", f"{counts[severity]:,}", "") for severity in SEVERITIES])
    for severity in SEVERITIES:
        for issue in issues:
            if issue.severity == severity:
                _add_finding(page, issue, splits)
    if splits:
        _add_classes(page, splits)
        _add_sheet(page, splits)
    return page


def summarize(issues: Sequence[Issue]) -> str:
    """Say in a few words how much was found, such as ``"1 error, 2 notes"``."""
    counts = Counter(issue.severity for issue in issues)
    words = [f"{counts[name]:,} {name}{'s' * (counts[name] > 1)}" for name in SEVERITIES if counts[name]]
    return ", ".join(words) or "nothing found"


def contents(splits: Mapping[str, Dataset]) -> str:
    """Say in a line what was looked at; nothing where there is nothing."""
    if not splits:
        return ""
    first = next(iter(splits.values()))
    counts = ", ".join(f"{len(dataset):,} {split}" for split, dataset in splits.items())
    height, width = first.images.shape[1:3]
    uncut = "" if "test" in splits else " There is no test part: training keeps a fifth of them for it."
    return (
        f"{counts} images of {plural(len(first.class_names), 'class')}, looked at with {width} x {height} pixels."
        f"{uncut}"
    )


def _add_finding(page: Page, issue: Issue, splits: Mapping[str, Dataset]) -> None:
    page.add_note(issue.severity, issue.summary, issue.advice)
    files = [place for example in issue.examples for place in example if place.index is None]
    if files:
        page.add_table(("file", "why"), [(place.path, place.remark) for place in files], texts=2, unfolded=SHOWN)
    pictured = [example for example in issue.examples if all(place.index is not None for place in example)]
    if len(pictured) > SHOWN:
        page.add_paragraph(f"{SHOWN} of them; resnet50 check --json names more.")
    if pictured:
        page.add_images([[_image(place, splits) for place in example] for example in pictured[:SHOWN]])


def _image(place: Place, splits: Mapping[str, Dataset]) -> PageImage:
    image = splits[place.split].images[place.index]
    return PageImage(
        image, tuple(line for line in (f"{place.class_name}, {place.split}", place.path, place.remark) if line)
    )


def _add_classes(page: Page, splits: Mapping[str, Dataset]) -> None:
    page.add_heading("Classes")
    names = next(iter(splits.values())).class_names
    counts = [np.bincount(dataset.labels, minlength=len(names)) for dataset in splits.values()]
    rows = [(name, *(f"{count[label]:,}" for count in counts)) for label, name in enumerate(names)]
    page.add_table(("class", *splits), rows)


def _add_sheet(page: Page, splits: Mapping[str, Dataset]) -> None:
    page.add_heading("Images of each class")
    split, dataset = next(iter(splits.items()))
    few = max(1, min(OF_CLASS, PICTURES // len(dataset.class_names)))
    rng = np.random.default_rng(0)
    groups = []
    for label, name in enumerate(dataset.class_names):
        numbers = np.flatnonzero(dataset.labels == label)
        chosen = np.sort(rng.choice(numbers, min(few, len(numbers)), replace=False))
        if len(chosen):
            groups.append([PageImage(dataset.images[k], (name, dataset.paths[k])) for k in chosen])
    page.add_paragraph(f"Taken at random from the {split} part.")
    page.add_images(groups)
