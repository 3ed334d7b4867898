"""``resnet50 data fetch`` and ``resnet50 data show``."""

from __future__ import annotations

import argparse
from pathlib import Path

from resnet50.cli import source
from resnet50.cli.console import say, show, step
from resnet50.cli.left_out import show_left_out
from resnet50.cli.out import check_file
from resnet50.cli.parser import examples


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.epilog = examples("resnet50 data fetch signs", "resnet50 data show photos --out sheet.png")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION", title="actions")
    words = "Download a dataset into the cache."
    fetch = actions.add_parser("fetch", help=words, description=words)
    fetch.add_argument(
        "name", choices=["signs"], help="Dataset; signs is the two files of Andrew Ng's Deep Learning Specialization."
    )
    fetch.add_argument("--out", metavar="DIR", help="Folder to put it in. Default: the cache.")
    words = "Show the contents of a dataset."
    show = actions.add_parser("show", help=words, description=words)
    source.add_source_arguments(show)
    show.add_argument(
        "--out", metavar="PNG", help="Also draw some of its images into this file, which is replaced. Default: none."
    )


def run(options: argparse.Namespace) -> int:
    """Fetch or show."""
    return _fetch(options) if options.action == "fetch" else _show(options)


def _fetch(options: argparse.Namespace) -> int:
    from resnet50.datasets.signs import fetch_signs

    with step("SIGNS", in_bytes=True) as progress:
        folder = fetch_signs(options.out, progress=progress)
    show(folder)
    return 0


def _show(options: argparse.Namespace) -> int:
    from resnet50._io.text import are, plural
    from resnet50.recipes import find_task

    if options.out:
        check_file(options.out, ".png", ".svg", ".pdf")
    images = source.find_source(options)
    splits = source.load(images, image_size=find_task(images.task).RECIPE.image_size)
    train = splits["train"]
    say(f"{train.name}: RGB, {train.images.shape[2]} x {train.images.shape[1]} pixels")
    for split, dataset in splits.by_name.items():
        say(source.counts(split, dataset), indent=11)
        say(f"{'':11}SHA-256 {dataset.fingerprint[:16]}")
    if files := splits.unreadable:
        say(f"{plural(len(files), 'file')} cannot be read and {are(files)} left out; see 'resnet50 check'.")
    show_left_out(splits.left_out)
    if options.out:
        from resnet50.plots.images import draw_contact_sheet
        from resnet50.plots.save import save_figure

        save_figure(draw_contact_sheet(train), Path(options.out))
        show(options.out)
    return 0
