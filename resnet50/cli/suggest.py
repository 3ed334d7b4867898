"""``resnet50 suggest``."""

from __future__ import annotations

import argparse
import sys

from resnet50.cli.console import say, show, step
from resnet50.cli.left_out import show_left_out
from resnet50.cli.model import add_model_option, find_model, load_classifier, show_model
from resnet50.cli.out import check_file
from resnet50.cli.parser import examples, number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.epilog = examples(
        "resnet50 suggest new_photos",
        "resnet50 suggest new_photos --model runs/one -n 20 --page label.html",
    )
    parser.add_argument("folder", metavar="FOLDER", help="Folder of unlabeled image files.")
    add_model_option(parser)
    parser.add_argument(
        "-n", "--number", type=number(int, 1), default=50, metavar="INT", help="Number of images. Default: 50."
    )
    parser.add_argument(
        "--out",
        default="suggest.csv",
        metavar="CSV",
        help="Table to fill in; an earlier one is replaced if it has no labels yet. Default: suggest.csv.",
    )
    parser.add_argument(
        "--page",
        default="suggest.html",
        metavar="HTML",
        help="Page to label the images on, which saves labels.csv; replaced if it exists. Default: suggest.html.",
    )


def run(options: argparse.Namespace) -> int:
    """Rank the images, and write the table and the page; 2 if one could not be read, after the others are done."""
    check_file(options.out, ".csv")
    check_file(options.page, ".html", ".htm")

    from resnet50.inference.suggest import check_unlabeled, suggest

    check_unlabeled(options.out)
    path = find_model(options.model)

    from resnet50.inference.predict import search_images

    images, left_out = search_images([options.folder])
    show_left_out(left_out)
    classifier = load_classifier(path)
    show_model(path, classifier)
    from resnet50._io.files import write_text
    from resnet50.reports.cleaning import labeling_page

    with step("computing features") as progress:
        found = suggest(classifier, images, number=options.number, progress=progress)
    found.save(options.out)
    write_text(options.page, labeling_page(found, fit=classifier.fit))
    for file in found.unreadable:
        show(file.reason, file=sys.stderr)
    say(f"{len(found.images):,} of {found.searched:,} images would teach most; label them on the page or in the table.")
    show(options.out, options.page)
    return 2 if found.unreadable else 0
