"""``resnet50 check``."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from resnet50.cli import fit_options, label_options, read_options, source
from resnet50.cli.console import show, show_json, step
from resnet50.cli.issues import show_audit
from resnet50.cli.out import check_file
from resnet50.cli.parser import examples, number
from resnet50.data.options import DEFAULT_OPTIONS, ReadOptions

if TYPE_CHECKING:
    from resnet50.audit.check import Audit
    from resnet50.datasets.source import DataSource


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.epilog = "Exits with 1 if an issue is an error, else with 0.\n\n" + examples(
        "resnet50 check photos",
        "resnet50 check photos --labels --clean clean.html",
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
        metavar="PIXELS",
        help="Height and width at which images are compared; files smaller than half of it are reported. "
        "Default: 96, or that of the network with --labels.",
    )
    label_options.add_label_options(parser)
    fit_options.add_fit_options(parser.add_argument_group("fitting images"))
    parser.add_argument(
        "--out", default="check.html", metavar="HTML", help="Page to write; replaced if it exists. Default: check.html."
    )
    parser.add_argument("--json", action="store_true", help="Print the issues as JSON.")


def run(options: argparse.Namespace) -> int:
    """Audit a dataset, write a page and print the issues, the worst first."""
    for page in (options.out, *([options.clean] if options.clean else [])):
        check_file(page, ".html", ".htm")
    images, chosen = _find_source(options)

    from resnet50._io.files import write_text
    from resnet50.reports.audit import audit_page

    audit = _audit(images, chosen, options)
    fit_options.say_range(audit.splits.fit)
    with step("writing the page"):
        write_text(options.out, audit_page(audit))
        if options.clean:
            from resnet50.reports.cleaning import cleaning_page

            write_text(options.clean, cleaning_page(audit))
    if options.json:
        show_json(json.dumps([asdict(issue) for issue in audit.issues], indent=2))
    else:
        show_audit(audit)
        show(options.out, *([options.clean] if options.clean else []))
    return 1 if audit.has_errors else 0


def _audit(images: Path | DataSource, chosen: ReadOptions, options: argparse.Namespace) -> Audit:
    recipe = label_options.read_label_recipe(images, options)
    with step("reading and comparing images") as progress, source.suggest_data(images):
        if recipe is not None:
            from resnet50.evaluation.check_labels import check_labels

            return check_labels(images, recipe, options=chosen, seeds=range(options.seeds or 1), progress=progress)
        from resnet50.audit.check import IMAGE_SIZE, check

        fit, size = fit_options.read_fit(options), options.image_size or IMAGE_SIZE
        return check(images, image_size=size, fit=fit, options=chosen, progress=progress)


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
