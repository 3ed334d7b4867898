"""The data doctor's page: each finding with its pictures, and what the data set holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from resnet50.data.finding import SEVERITIES, Finding, Place, so_many
from resnet50.data.split import Split
from resnet50.figures.page import Page, Picture

SHOWN = 16
"""Most examples of a finding that are shown."""

OF_CLASS = 4
"""Most pictures of a class that are shown."""

PICTURES = 240
"""Most pictures that are shown of all classes together, if that leaves one of each."""


def check_page(findings: Sequence[Finding], splits: Mapping[str, Split], *, title: str) -> Page:
    """Write a page on what the data doctor found.

    Args:
        findings: What was found.
        splits: The parts of the data set that was looked at, whose pictures are shown; none if it cannot be read.
        title: Name of the data set.

    Returns:
        The page.
    """
    counts = Counter(finding.severity for finding in findings)
    page = Page(f"{title}: {summarize(findings)}", contents(splits))
    page.add_facts([(f"{severity}s", f"{counts[severity]:,}", "") for severity in SEVERITIES])
    for severity in SEVERITIES:
        for finding in findings:
            if finding.severity == severity:
                _add_finding(page, finding, splits)
    if splits:
        _add_classes(page, splits)
        _add_sheet(page, splits)
    return page


def summarize(findings: Sequence[Finding]) -> str:
    """Say in a few words how much was found, such as ``"1 error, 2 notes"``."""
    counts = Counter(finding.severity for finding in findings)
    words = [f"{counts[name]:,} {name}{'s' * (counts[name] > 1)}" for name in SEVERITIES if counts[name]]
    return ", ".join(words) or "nothing found"


def contents(splits: Mapping[str, Split]) -> str:
    """Say in a line what was looked at; nothing where there is nothing."""
    if not splits:
        return ""
    first = next(iter(splits.values()))
    parts = ", ".join(f"{len(split):,} {part}" for part, split in splits.items())
    height, width = first.images.shape[1:3]
    uncut = "" if "test" in splits else " There is no test part: training keeps a fifth of them for it."
    return (
        f"{parts} pictures of {so_many(len(first.class_names), 'class')}, looked at with {width} x {height} pixels."
        f"{uncut}"
    )


def _add_finding(page: Page, finding: Finding, splits: Mapping[str, Split]) -> None:
    page.add_note(finding.severity, finding.summary, finding.advice)
    files = [place for example in finding.examples for place in example if place.index is None]
    if files:
        page.add_table(("file", "why"), [(place.source, place.remark) for place in files], texts=2, unfolded=SHOWN)
    pictured = [example for example in finding.examples if all(place.index is not None for place in example)]
    if len(pictured) > SHOWN:
        page.add_paragraph(f"{SHOWN} of them; resnet50 check --json names more.")
    if pictured:
        page.add_pictures([[_picture(place, splits) for place in example] for example in pictured[:SHOWN]])


def _picture(place: Place, splits: Mapping[str, Split]) -> Picture:
    image = splits[place.part].images[place.index]
    return Picture(
        image, tuple(line for line in (f"{place.class_name}, {place.part}", place.source, place.remark) if line)
    )


def _add_classes(page: Page, splits: Mapping[str, Split]) -> None:
    page.add_heading("Classes")
    names = next(iter(splits.values())).class_names
    counts = [np.bincount(split.labels, minlength=len(names)) for split in splits.values()]
    rows = [(name, *(f"{count[label]:,}" for count in counts)) for label, name in enumerate(names)]
    page.add_table(("class", *splits), rows)


def _add_sheet(page: Page, splits: Mapping[str, Split]) -> None:
    page.add_heading("Pictures of each class")
    part, split = next(iter(splits.items()))
    few = max(1, min(OF_CLASS, PICTURES // len(split.class_names)))
    rng = np.random.default_rng(0)
    groups = []
    for label, name in enumerate(split.class_names):
        numbers = np.flatnonzero(split.labels == label)
        chosen = np.sort(rng.choice(numbers, min(few, len(numbers)), replace=False))
        if len(chosen):
            groups.append([Picture(split.images[k], (name, split.sources[k])) for k in chosen])
    page.add_paragraph(f"Taken at random from the {part} part.")
    page.add_pictures(groups)
