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
    from resnet50.data.pictures import Splits
    from resnet50.recipes import Task

_COLOURS = {"error": "bold red", "warning": "bold yellow", "note": "bold blue"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.epilog = "Exits with 1 if there is an error among the findings, else with 0."
    parser.add_argument(
        "source",
        metavar="DATA",
        help="folder of pictures, CSV file, h5 file, folder of CIFAR-10, or the name of a recipe",
    )
    parser.add_argument(
        "--data", metavar="DIR", help="the pictures of the recipe that DATA names, read and parted as 'train' does"
    )
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
    from resnet50.data.pictures import Splits
    from resnet50.figures.check import check_page, contents, summarize
    from resnet50.files import write_text

    task = _task(options)
    place, out = Path(options.data or options.source), Path(options.out)
    if out.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"{out}: the name of the page must end in .html.")
    if options.size < 1:
        raise ValueError(f"--size must be at least 1 pixel, got {options.size}.")
    if options.pattern is not None:
        compile_pattern(options.pattern)
        if task:
            raise ValueError(f"the recipe {options.source} knows how its pictures are read: leave out --pattern.")
        if not place.is_dir():
            raise ValueError(f"{place}: needed a folder to search with a pattern, found none.")
    splits, refused = Splits({}), ""
    found: tuple[Finding, ...]
    try:
        if task:
            parts = source.load(task, options.data, side=options.size, how={})
            splits = Splits(parts.splits, parts.unreadable)
        else:
            splits, refused = _load(place, options)
    except ValueError as error:  # what training would refuse, such as labels that stand for no class
        found = (Finding("unusable", "error", str(error), "Training would refuse it too; mend it first."),)
    else:
        with bar("reading headers") as show:
            headers = read_headers(splits.splits, _root(place, splits), progress=show)
        with bar("comparing pictures") as show:
            found = check(splits.splits, splits.unreadable, headers=headers, refused=refused, progress=show)
    title = next((split.dataset for split in splits.splits.values()), place.resolve().name)
    write_text(out, check_page(found, splits.splits, title=title).html())
    if options.json:
        print(json.dumps([asdict(finding) for finding in found], indent=2))
    else:
        _show(found, f"{title}: {summarize(found)}", contents(splits.splits))
        print(out)
    return 1 if any(finding.severity == "error" for finding in found) else 0


def _task(options: argparse.Namespace) -> Task | None:
    """Return the recipe whose pictures are meant, None for a place."""
    from resnet50.recipes import RECIPES, find_task

    if options.data is None and (options.source not in RECIPES or Path(options.source).exists()):
        return None
    return find_task(options.source)


def _load(place: Path, options: argparse.Namespace) -> tuple[Splits, str]:
    """Read a source however much of it cannot be read, and return what training says of that, "" if it takes it."""
    from resnet50.data.pictures import load_splits

    with bar("reading pictures") as show:
        splits = load_splits(place, side=options.size, pattern=options.pattern, most_unreadable=1.0, progress=show)
    if splits.unreadable:
        try:
            load_splits(place, side=options.size, pattern=options.pattern)  # from the cache by now
        except ValueError as error:
            return splits, str(error)
    return splits, ""


def _root(place: Path, splits: Splits) -> Path:
    """Return the folder that the pictures' sources start from; a recipe may look into one inside its own."""
    if not place.is_dir():
        return place.parent
    first = next((source for split in splits.splits.values() for source in split.sources), "")
    inside = sorted(path for path in place.iterdir() if path.is_dir())
    return next((root for root in (place, *inside) if (root / first).is_file()), place)


def _show(found: Sequence[Finding], *lines: str) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console()
    for line in filter(None, lines):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    for finding in found:
        console.print(
            Text.assemble((f"{finding.severity:8}", _COLOURS[finding.severity]), finding.summary), soft_wrap=True
        )
        console.print(f"        {finding.advice}", style="dim", highlight=False, markup=False, soft_wrap=True)
