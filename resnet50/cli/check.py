"""``resnet50 check``."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from resnet50.cli import fit_options, read_options, source
from resnet50.cli.console import say, show, show_json, step, wrap
from resnet50.cli.out import check_suffix
from resnet50.cli.parser import examples, number
from resnet50.data.options import DEFAULT_OPTIONS, ReadOptions

if TYPE_CHECKING:
    from resnet50.audit.check import Audit
    from resnet50.datasets.source import DataSource

_COLORS = {"error": "bold red", "warning": "bold yellow", "note": "bold blue"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.epilog = "Exits with 1 if an issue is an error, else with 0.\n\n" + examples(
        "resnet50 check photos",
        "resnet50 check rocks --data downloads/rocks",
        "resnet50 check photos --pattern '/(?P<class>[a-z]+)_[0-9]+'",
    )
    parser.add_argument(
        "source",
        metavar="DATA",
        help="Folder of images, CSV file, h5 file, folder of CIFAR-10, or the name of a task.",
    )
    parser.add_argument("--data", metavar="PATH", help="Images of the task that DATA names.")
    read_options.add_read_options(parser, *read_options.OPTIONS)
    parser.add_argument(
        "--image-size",
        type=number(int, 1),
        default=96,
        metavar="PIXELS",
        help="Height and width at which images are compared; files smaller than half of it are reported. Default: 96.",
    )
    fit_options.add_fit_options(parser.add_argument_group("fitting images"))
    parser.add_argument(
        "--out", default="check.html", metavar="HTML", help="Page to write; replaced if it exists. Default: check.html."
    )
    parser.add_argument("--json", action="store_true", help="Print the issues as JSON.")


def run(options: argparse.Namespace) -> int:
    """Audit a dataset, write a page and print the issues, the worst first."""
    check_suffix(options.out, ".html", ".htm")
    images, chosen = _find_source(options)

    from resnet50._io.files import write_text
    from resnet50.audit.check import check
    from resnet50.reports.audit import audit_page

    with step("reading and comparing images") as progress, source.suggest_data(images):
        fit = fit_options.read_fit(options)
        audit = check(images, image_size=options.image_size, fit=fit, options=chosen, progress=progress)
    fit_options.say_range(audit.splits.fit)
    with step("writing the page"):
        write_text(options.out, audit_page(audit))
    if options.json:
        show_json(json.dumps([asdict(issue) for issue in audit.issues], indent=2))
    else:
        _show(audit)
        show(options.out)
    return 1 if audit.has_errors else 0


def _find_source(options: argparse.Namespace) -> tuple[Path | DataSource, ReadOptions]:
    """Return the images and how a path is read; an existing path goes before a task of its name."""
    from resnet50.datasets.source import DataSource
    from resnet50.recipes import RECIPES, find_task

    chosen = read_options.read_options(options)
    if options.data is None and (options.source not in RECIPES or Path(options.source).exists()):
        if options.pattern is not None and not Path(options.source).is_dir():
            raise ValueError(
                f"{options.source}: expected a folder to search with a pattern, got none; leave out --pattern."
            )
        return Path(options.source), chosen
    find_task(options.source)
    return DataSource(options.source, source.place(options.data), chosen), DEFAULT_OPTIONS


def _show(audit: Audit) -> None:
    from rich.console import Console
    from rich.text import Text

    from resnet50.reports.audit import contents, summarize

    say(f"{audit.name}: {summarize(audit.issues)}")
    say(contents(audit.splits.by_name, audit.test_split))
    console = Console()
    for issue in audit.issues:
        text = Text(wrap(f"{issue.severity:8}{issue.summary}", indent=8))
        text.stylize(_COLORS[issue.severity], 0, len(issue.severity))
        console.print(text, soft_wrap=True)
        say(f"{'':8}{issue.advice}")
