"""The cleaning page: suspicious images to keep, relabel or leave out, in one file that needs no network and no server.

It is the only page with a script, which the page's policy names by its hash: no other script would run. Marks are
stored in the browser, and saved as a file of corrections (`resnet50.data.corrections`).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from resnet50._io.text import printable
from resnet50.audit.check import Audit
from resnet50.audit.issue import EXAMPLES, Issue, Place
from resnet50.data.fit import DEFAULT_FIT, Fit
from resnet50.data.images import read_image
from resnet50.data.splits import DatasetSplits
from resnet50.inference.suggest import Suggestion, Suggestions
from resnet50.reports.audit import contents
from resnet50.reports.pages import LARGEST, page_image, render

SECTIONS = {
    "label-error": "Labels that may be wrong",
    "label-conflict": "Near-duplicates with different labels",
    "leak": "Near-duplicates in different splits",
    "single-color": "Images of a single color",
    "low-resolution": "Small images",
}
"""Kinds of issues whose images are on the page, with the title of their section."""

_SCRIPT = Path(__file__).parent / "templates" / "cleaning.js"


def cleaning_page(audit: Audit) -> str:
    """Return the cleaning page of an audit, as HTML text.

    An image in several issues is shown in the first of them. The nearest images of both classes stand beside one whose
    label may be wrong.

    Args:
        audit: What `resnet50.check` or `resnet50.check_labels` returns.

    Raises:
        ValueError: If the audit has no images.
    """
    splits = audit.splits
    if not splits.by_name:
        raise ValueError(f"{audit.name}: expected images to clean, got a source that cannot be read; fix it first.")
    seen: set[tuple[str, int | None]] = set()
    issues = [issue for kind in SECTIONS for issue in audit.issues if issue.kind == kind]
    sections = [_section(issue, splits, seen) for issue in issues]
    first = next(iter(splits.by_name.values()))
    return _render(
        name=audit.name,
        contents=contents(splits.by_name, audit.test_split),
        cards=len(seen),
        class_names=first.class_names,
        earlier=splits.corrections.rows if splits.corrections is not None else (),
        sections=[section for section in sections if section["groups"]],
        key=_key([dataset.name for dataset in splits.by_name.values()] + list(first.class_names)),
        labels=False,
    )


def labeling_page(suggestions: Suggestions, *, fit: Fit = DEFAULT_FIT) -> str:
    """Return the page to label images on, as HTML text: the cleaning page for images without labels.

    It saves ``labels.csv`` with the columns path and label, which `resnet50.load_dataset` reads.

    Args:
        suggestions: What `resnet50.suggest` returns; its files are read again.
        fit: How an image is fitted to the page.
    """
    cards: list[dict[str, Any]] = [
        {"place": _suggested(each), "image": page_image(read_image(each.path, height=LARGEST, width=LARGEST, fit=fit))}
        for each in suggestions.images
    ]
    for card in cards:
        card["unnamed"] = not _can_be_named(card["place"].path)
        card["marked"] = not card["unnamed"]
    groups = [[card] for card in cards]
    return _render(
        name="suggestions",
        contents=f"The labels of these images would teach most, of {suggestions.searched:,} without labels.",
        cards=len(cards),
        class_names=suggestions.class_names,
        earlier=(),
        sections=[
            {"title": "Images to label", "summary": "", "groups": groups, "more": False, "unnamed": _unnamed(groups)}
        ],
        key=_key([str(each.path) for each in suggestions.images]),
        labels=True,
    )


def _suggested(each: Suggestion) -> Place:
    remark = f"{each.prediction}, {each.probability:.0%}, or {each.second}"
    return Place(str(each.path.absolute()), remark=remark, suggestion=each.prediction)


def _render(**context: Any) -> str:
    script = _SCRIPT.read_text(encoding="utf-8")
    return render("cleaning.html.j2", script=Markup(script), script_hash=_hash(script), **context)  # noqa: S704


def _section(issue: Issue, splits: DatasetSplits, seen: set[tuple[str, int | None]]) -> dict[str, Any]:
    groups = [list(_cards(issue, example, splits, seen)) for example in issue.examples]
    return {
        "title": SECTIONS[issue.kind],
        "summary": issue.summary,
        "groups": [group for group in groups if any(card["marked"] or card["unnamed"] for card in group)],
        "more": len(issue.examples) == EXAMPLES,
        "unnamed": _unnamed(groups),
    }


def _unnamed(groups: Sequence[Sequence[dict[str, Any]]]) -> int:
    """Return how many images cannot be marked, since a table that is typed or read by people cannot name them."""
    return sum(card["unnamed"] for group in groups for card in group)


def _can_be_named(path: str) -> bool:
    return printable(path) == path


def _cards(
    issue: Issue, example: Sequence[Place], splits: DatasetSplits, seen: set[tuple[str, int | None]]
) -> Iterator[dict[str, Any]]:
    """Yield the images of an example: the ones to decide on, and others to compare with."""
    for number, place in enumerate(example):
        if place.index is None:
            continue
        image = (place.split, place.index)
        compared = issue.kind == "label-error" and number > 0
        decided = not compared and image not in seen
        if decided:
            seen.add(image)
        named = _can_be_named(place.path)
        pixels = page_image(splits[place.split].images[place.index])
        yield {"place": place, "image": pixels, "marked": decided and named, "unnamed": decided and not named}


def _key(names: Sequence[str]) -> str:
    """Return the name under which a browser stores the marks of images that are named so, whatever their labels."""
    return f"resnet50-corrections-{hashlib.sha256(repr(names).encode()).hexdigest()[:16]}"


def _hash(script: str) -> Markup:
    """Return a script's hash as a content security policy names it."""
    return Markup("sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode())  # noqa: S704
