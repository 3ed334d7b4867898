"""``resnet50 pack``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from resnet50.cli import fit_options, read_options, source
from resnet50.cli.console import say, step
from resnet50.cli.left_out import show_left_out
from resnet50.cli.out import check_new, check_suffix
from resnet50.cli.parser import examples, number
from resnet50.data.fit import DEFAULT_FIT

_SHOWN = 10  # unreadable files that are named; the packed file lists all


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.epilog = examples("resnet50 pack photos photos.h5", "resnet50 train photos.h5")
    parser.add_argument("source", metavar="SRC", help="Folder of images, or a CSV file with a header path,label.")
    parser.add_argument("out", metavar="OUT.h5", help="New file to write, which 'resnet50 train' takes.")
    parser.add_argument(
        "--image-size",
        type=number(int, 1),
        default=224,
        metavar="PIXELS",
        help="Height and width that images are brought to. Default: 224.",
    )
    read_options.add_read_options(parser, "pattern", "max_unreadable", "groups", "corrections")
    fit_options.add_fit_options(parser.add_argument_group("fitting images"))


def run(options: argparse.Namespace) -> int:
    """Decode a source into one file, and print its contents."""
    check_suffix(options.out, ".h5", ".hdf5")
    check_new(options.out)
    chosen, fit = read_options.read_options(options), fit_options.read_fit(options) or DEFAULT_FIT

    from resnet50.data.corrections import read_corrections
    from resnet50.data.hdf5 import read_h5, read_packing
    from resnet50.data.listing import list_images
    from resnet50.data.pack import pack

    out, size = Path(options.out), options.image_size
    with step("listing images"):
        listing = list_images(options.source, pattern=chosen.pattern, groups=chosen.groups)
    with step("reading images") as progress:
        unreadable = pack(listing, out, image_size=size, fit=fit, options=chosen, progress=progress)
    if chosen.corrections is not None:
        say(f"{read_corrections(chosen.corrections).describe()}.", file=sys.stderr)
    say(f"{out}: {listing.name}, RGB, {size} x {size} pixels, {out.stat().st_size / 1e6:,.1f} MB")
    packing = read_packing(out)
    fit_options.say_range(packing.fit or fit)
    for split, dataset in read_h5(out).items():
        say(source.counts(split, dataset))
    for file in unreadable[:_SHOWN]:
        say(f"left out {file.path}: {file.reason}", file=sys.stderr)
    if unreadable:
        count = f"{len(unreadable)} of {len(listing.entries)} files"
        say(f"{count} were left out because they cannot be read; {out} lists them.", file=sys.stderr)
    show_left_out(packing.left_out)
    return 0
