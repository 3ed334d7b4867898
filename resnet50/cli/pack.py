"""``resnet50 pack``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from resnet50.cli import source
from resnet50.cli.bars import bar
from resnet50.cli.out import check_new

_SHOWN = 10  # files that could not be read, of which the file tells all


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("source", metavar="SRC", help="folder of images, or a CSV file with a header path,label")
    parser.add_argument("out", metavar="OUT.h5", help="new file to write, which 'resnet50 train folder' takes")
    parser.add_argument("--image-size", type=int, default=224, metavar="PIXELS", help="height and width (224)")
    source.add_how_arguments(parser, "pattern", "max_unreadable")


def run(options: argparse.Namespace) -> int:
    """Decode a source into one file, and tell what is in it."""
    from resnet50.data.hdf5 import read_h5
    from resnet50.data.listing import list_images
    from resnet50.data.pack import pack

    out = Path(options.out)
    if out.suffix.lower() not in (".h5", ".hdf5"):
        raise ValueError(f"{out}: the name of a packed file must end in .h5.")
    check_new(out)
    how = source.how_to_read(options)
    listing = list_images(options.source, pattern=how.pop("pattern", None))
    with bar("reading images") as show:
        unreadable = pack(listing, out, image_size=options.image_size, progress=show, **how)
    print(
        f"{out}: {listing.name}, RGB, {options.image_size} x {options.image_size} pixels, {out.stat().st_size / 1e6:,.1f} MB"
    )
    for split, dataset in read_h5(out).items():
        print(source.counts(split, dataset))
    for told in unreadable[:_SHOWN]:
        print(f"left out {told.path}: {told.reason}", file=sys.stderr)
    if unreadable:
        print(f"{len(unreadable)} of {len(listing.entries)} files were left out; {out} lists them.", file=sys.stderr)
    return 0
