"""``resnet50 anatomy``."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from resnet50._io.text import printable
from resnet50.cli.console import say, show, show_json, step
from resnet50.cli.issues import say_issues
from resnet50.cli.model import MODEL_HELP, find_model, load_keras
from resnet50.cli.out import check_file
from resnet50.cli.parser import examples
from resnet50.cli.pretrained import fetch
from resnet50.cli.tables import show_table

if TYPE_CHECKING:
    from resnet50.anatomy.records import Anatomy


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.epilog = examples(
        "resnet50 anatomy runs/photos",
        "resnet50 anatomy runs/photos cat.jpg dog.jpg",
        "resnet50 anatomy model.keras --data new_photos --out model.html",
        "resnet50 anatomy timm/a1_in1k cat.jpg",
    )
    parser.add_argument(
        "model", metavar="MODEL_OR_RUN", help=f"{MODEL_HELP} Or pretrained weights: a published name, or a file."
    )
    parser.add_argument(
        "images",
        nargs="*",
        default=[],
        metavar="IMAGE",
        help="Image files to show the blocks on, at most 4. Default: held-out images of two classes.",
    )
    parser.add_argument(
        "--data",
        metavar="PATH",
        help="Folder, CSV file or h5 file of labeled images to score on. Default: the dataset of the training; what "
        "needs images is left out where that is not there.",
    )
    parser.add_argument(
        "--out",
        default="anatomy.html",
        metavar="HTML",
        help="Page to write; replaced if it exists. Default: anatomy.html.",
    )
    parser.add_argument("--json", action="store_true", help="Print the measurements as JSON.")


def run(options: argparse.Namespace) -> int:
    """Take a network apart, write a page and print what each block adds, costs and knows."""
    check_file(options.out, ".html", ".htm")
    _check_names(options)
    load_keras()

    from resnet50._io.files import write_text
    from resnet50.anatomy.dissect import dissect
    from resnet50.anatomy.page import anatomy_page

    with step("taking the network apart") as progress:
        anatomy = dissect(options.model, options.images, source=options.data, progress=progress)
    with step("writing the page"):
        write_text(options.out, anatomy_page(anatomy))
    say_issues(anatomy.issues)
    for line in anatomy.left_out:
        say(f"note: {line}", file=sys.stderr)
    if options.json:
        show_json(json.dumps(anatomy.to_dict(), indent=2))
        return 0
    _show(anatomy)
    show(options.out)
    return 0


def _check_names(options: argparse.Namespace) -> None:
    """Refuse a model or an image that is not there before Keras is loaded, and fetch published weights."""
    from resnet50.data.images import read_header
    from resnet50.weights.registry import REGISTRY, names_weights

    if not names_weights(options.model):
        find_model(options.model)
    for image in options.images:
        read_header(image)
    if options.model in REGISTRY:
        fetch(REGISTRY[options.model])


def _show(anatomy: Anatomy) -> None:
    from rich.table import Table
    from rich.text import Text

    if anatomy.accuracy and anatomy.scored:
        share, (low, high) = anatomy.accuracy
        say(f"accuracy {share:.1%} of {len(anatomy.scored):,} held-out images (95% interval {low:.1%} to {high:.1%})")
    table = Table("block", box=None, pad_edge=False)
    for name in ("sees", "adds", "without it", "probe"):
        table.add_column(name, justify="right")
    for part in anatomy.parts:
        sees = f"{part.feature_map.field.size[0]} px" if part.feature_map else ""
        adds = f"{part.contribution.share:.2f}" if part.contribution else ""
        scores = [f"{each.accuracy:.1%}" if each else "" for each in (part.lesion, part.probe)]
        table.add_row(Text(printable(part.name)), sees, adds, *scores)
    show_table(table)
