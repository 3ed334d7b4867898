"""``resnet50 check``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from resnet50.cli import source
from resnet50.cli.bars import bar

if TYPE_CHECKING:
    from resnet50.data.finding import Finding

_COLOURS = {"error": "bold red", "warning": "bold yellow", "note": "bold blue"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.epilog = "Exits with 1 if there is an error among the findings, else with 0."
    parser.add_argument("source", metavar="DATA", help="folder of pictures, CSV file, h5 file, or folder of CIFAR-10")
    source.add_how_arguments(parser, "pattern")
    parser.add_argument(
        "--size",
        type=int,
        default=96,
        metavar="PIXELS",
        help="side at which pictures are looked at; files smaller than half of it are told (96)",
    )
    parser.add_argument(
        "--out", default="check.html", metavar="HTML", help="page to write (check.html); an earlier one is replaced"
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def run(options: argparse.Namespace) -> int:
    """Look for what is wrong with a data set, write a page and print what was found, the worst first."""
    from resnet50.data.check import check
    from resnet50.data.finding import Finding
    from resnet50.data.headers import read_headers
    from resnet50.data.listing import compile_pattern
    from resnet50.data.pictures import Splits, load_splits
    from resnet50.figures.check import check_page, summarize
    from resnet50.files import write_text

    place, out = Path(options.source), Path(options.out)
    if out.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"{out}: the name of the page must end in .html.")
    if options.size < 1:
        raise ValueError(f"--size must be at least 1 pixel, got {options.size}.")
    if options.pattern is not None:
        compile_pattern(options.pattern)
        if not place.is_dir():
            raise ValueError(f"{place}: needed a folder to search with a pattern, found none.")
    splits = Splits({})
    found: tuple[Finding, ...]
    try:
        with bar("reading pictures") as show:
            splits = load_splits(place, side=options.size, pattern=options.pattern, most_unreadable=1.0, progress=show)
    except ValueError as error:  # what training would refuse, such as labels that stand for no class
        found = (Finding("unusable", "error", str(error), "Training would refuse it too; mend it first."),)
    else:
        root = place if place.is_dir() else place.parent
        with bar("reading headers") as show:
            headers = read_headers(splits.splits, root, progress=show)
        with bar("comparing pictures") as show:
            found = check(splits.splits, splits.unreadable, headers=headers, progress=show)
    title = next((split.dataset for split in splits.splits.values()), place.resolve().name)
    write_text(out, check_page(found, splits.splits, title=title).html())
    if options.json:
        print(json.dumps([asdict(finding) for finding in found], indent=2))
    else:
        _show(found, f"{title}: {summarize(found)}")
        print(out)
    return 1 if any(finding.severity == "error" for finding in found) else 0


def _show(found: Sequence[Finding], title: str) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console()
    console.print(title, highlight=False, markup=False, soft_wrap=True)
    for finding in found:
        console.print(
            Text.assemble((f"{finding.severity:8}", _COLOURS[finding.severity]), finding.summary), soft_wrap=True
        )
        console.print(f"        {finding.advice}", style="dim", highlight=False, markup=False, soft_wrap=True)
