"""``resnet50 data fetch`` and ``resnet50 data show``."""

from __future__ import annotations

import argparse
from pathlib import Path

from resnet50.cli import source
from resnet50.cli.bars import bar
from resnet50.recipes import RECIPES, find_task


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    fetch = actions.add_parser("fetch", help="download a data set into the cache", allow_abbrev=False)
    fetch.add_argument("name", choices=["signs"], help="signs: the two files of the course")
    fetch.add_argument("--out", metavar="DIR", help="folder to put them in; else the user's cache")
    show = actions.add_parser("show", help="tell what is in a data set", allow_abbrev=False)
    show.add_argument("name", metavar="NAME", help=f"one of {', '.join(RECIPES)}")
    source.add_source_arguments(show)
    show.add_argument(
        "--out", metavar="PNG", help="also draw a sheet of its images into this file; an earlier one is replaced"
    )


def run(options: argparse.Namespace) -> int:
    """Fetch or show."""
    return _fetch(options) if options.action == "fetch" else _show(options)


def _fetch(options: argparse.Namespace) -> int:
    from resnet50.datasets.signs import fetch_signs

    with bar("SIGNS", in_bytes=True) as show:
        folder = fetch_signs(options.out, progress=show)
    print(folder)
    return 0


def _show(options: argparse.Namespace) -> int:
    task = find_task(options.name)
    how = source.how_to_read(options)
    splits = source.load(task, source.place(options), image_size=task.RECIPE.image_size, how=how)
    training = splits.train
    print(f"{training.name}: RGB, {training.images.shape[2]} x {training.images.shape[1]} pixels")
    for split, dataset in splits.splits.items():
        print(f"{source.counts(split, dataset)}   SHA-256 {dataset.fingerprint[:16]}")
    if splits.unreadable:
        from resnet50._io.text import are, plural

        them = splits.unreadable
        print(f"{plural(len(them), 'file')} cannot be read and {are(them)} left out: see 'resnet50 check'")
    if options.out:
        from resnet50.plots.images import draw_contact_sheet
        from resnet50.plots.save import save_figure

        save_figure(draw_contact_sheet(training), Path(options.out))
        print(options.out)
    return 0
