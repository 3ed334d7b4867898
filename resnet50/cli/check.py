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
    from resnet50.audit.issue import Issue
    from resnet50.data.loading import Splits
    from resnet50.recipes import Task

_COLORS = {"error": "bold red", "warning": "bold yellow", "note": "bold blue"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.epilog = "Exits with 1 if there is an error among the findings, else with 0."
    parser.add_argument(
        "source",
        metavar="DATA",
        help="folder of images, CSV file, h5 file, folder of CIFAR-10, or the name of a recipe",
    )
    parser.add_argument(
        "--data", metavar="DIR", help="the images of the recipe that DATA names, read and parted as 'train' does"
    )
    source.add_how_arguments(parser, "pattern")
    parser.add_argument(
        "--image-size",
        type=int,
        default=96,
        metavar="PIXELS",
        help="side at which images are looked at; files smaller than half of it are told (96)",
    )
    parser.add_argument(
        "--out", default="check.html", metavar="HTML", help="page to write (check.html); an earlier one is replaced"
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def run(options: argparse.Namespace) -> int:
    """Look for what is wrong with a data set, write a page and print what was found, the worst first."""
    from resnet50._io.files import write_text
    from resnet50.audit.check import check
    from resnet50.audit.file_properties import read_headers
    from resnet50.audit.issue import Issue
    from resnet50.data.folder import compile_pattern
    from resnet50.data.loading import Splits
    from resnet50.reports.audit import check_page, contents, summarize

    task = _task(options)
    place, out = Path(options.data or options.source), Path(options.out)
    if out.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"{out}: the name of the page must end in .html.")
    if options.image_size < 1:
        raise ValueError(f"--image-size must be at least 1 pixel, got {options.image_size}.")
    if options.pattern is not None:
        compile_pattern(options.pattern)
        if task:
            raise ValueError(f"the recipe {options.source} knows how its images are read: leave out --pattern.")
        if not place.is_dir():
            raise ValueError(f"{place}: expected a folder to search with a pattern, found none.")
    splits, refused = Splits({}), ""
    found: tuple[Issue, ...]
    try:
        if task:
            splits = source.load(task, options.data, image_size=options.image_size, how={})
            splits = Splits(splits.splits, splits.unreadable)
        else:
            splits, refused = _load(place, options)
    except ValueError as error:  # what training would refuse, such as labels that stand for no class
        found = (Issue("unusable", "error", str(error), "Training would refuse it too; mend it first."),)
    else:
        with bar("reading headers") as show:
            headers = read_headers(splits.splits, _root(place, splits), progress=show)
        with bar("comparing images") as show:
            found = check(splits.splits, splits.unreadable, headers=headers, refused=refused, progress=show)
    title = next((dataset.name for dataset in splits.splits.values()), place.resolve().name)
    write_text(out, check_page(found, splits.splits, title=title).html())
    if options.json:
        print(json.dumps([asdict(issue) for issue in found], indent=2))
    else:
        _show(found, f"{title}: {summarize(found)}", contents(splits.splits))
        print(out)
    return 1 if any(issue.severity == "error" for issue in found) else 0


def _task(options: argparse.Namespace) -> Task | None:
    """Return the recipe whose images are meant, None for a place."""
    from resnet50.recipes import RECIPES, find_task

    if options.data is None and (options.source not in RECIPES or Path(options.source).exists()):
        return None
    return find_task(options.source)


def _load(place: Path, options: argparse.Namespace) -> tuple[Splits, str]:
    """Read a source however much of it cannot be read, and return what training says of that, "" if it takes it."""
    from resnet50.data.loading import read_splits

    with bar("reading images") as show:
        splits = read_splits(
            place, image_size=options.image_size, pattern=options.pattern, max_unreadable=1.0, progress=show
        )
    if splits.unreadable:
        try:
            read_splits(place, image_size=options.image_size, pattern=options.pattern)  # from the cache by now
        except ValueError as error:
            return splits, str(error)
    return splits, ""


def _root(place: Path, splits: Splits) -> Path:
    """Return the folder that the images' sources start from; a recipe may look into one inside its own."""
    if not place.is_dir():
        return place.parent
    first = next((source for dataset in splits.splits.values() for source in dataset.paths), "")
    inside = sorted(path for path in place.iterdir() if path.is_dir())
    return next((root for root in (place, *inside) if (root / first).is_file()), place)


def _show(found: Sequence[Issue], *lines: str) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console()
    for line in filter(None, lines):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    for issue in found:
        console.print(Text.assemble((f"{issue.severity:8}", _COLORS[issue.severity]), issue.summary), soft_wrap=True)
        console.print(f"        {issue.advice}", style="dim", highlight=False, markup=False, soft_wrap=True)
