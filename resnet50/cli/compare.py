"""``resnet50 compare``."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from resnet50._io.text import plural
from resnet50.cli.console import say, show, show_json
from resnet50.cli.out import check_file
from resnet50.cli.parser import examples

if TYPE_CHECKING:
    from resnet50.comparison.compare import ComparedGroup


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.epilog = examples(
        "resnet50 compare runs/photos-20260102-030405 runs/photos-20260103-101112",
        "resnet50 compare runs/photos-* --out photos.html",
    )
    parser.add_argument(
        "runs",
        nargs="+",
        metavar="RUN",
        help="Folders of finished runs with the same test images, at least two; each is compared with the first. Runs "
        "that differ in their seed alone are taken together.",
    )
    parser.add_argument(
        "--out",
        default="comparison.html",
        metavar="HTML",
        help="Page to write; replaced if it exists. Default: comparison.html.",
    )
    parser.add_argument("--json", action="store_true", help="Print the comparison as JSON.")


def run(options: argparse.Namespace) -> int:
    """Compare runs, write a page and print the differences."""
    check_file(options.out, ".html", ".htm")

    from resnet50.comparison.compare import compare

    comparison = compare(options.runs)

    from resnet50._io.files import write_text
    from resnet50.comparison.page import comparison_page

    write_text(options.out, comparison_page(comparison))
    if options.json:
        show_json(json.dumps(comparison.to_dict(), indent=2))
        return 0
    for group in comparison.groups:
        _show(group)
    show(options.out)
    return 0


def _show(group: ComparedGroup) -> None:
    say(f"{group.name}: accuracy {group.runs.accuracy_in_words}", indent=4)
    if group.difference is None:
        return
    difference = group.difference
    if difference.same:
        say(
            f"    classifies the same images correctly as the first; up to {difference.unseen:.1%} of other images may "
            "differ (95% limit, rule of three)",
            indent=4,
        )
        return
    low, high = difference.interval
    say(
        f"    {100 * difference.difference:+.1f} points against the first (95% interval {100 * low:+.1f} to "
        f"{100 * high:+.1f}; {plural(difference.second_better, 'image')} better, {difference.first_better} worse; "
        f"p {difference.p_in_words})",
        indent=4,
    )
