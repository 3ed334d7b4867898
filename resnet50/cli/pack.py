"""``resnet50 pack``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from resnet50.cli.source import reading

_SHOWN = 10  # files that could not be read, of which the file tells all


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("source", metavar="SRC", help="folder of pictures, or a CSV file with a header path,label")
    parser.add_argument("out", metavar="OUT.h5", help="file to write, which 'resnet50 train folder' takes")
    parser.add_argument("--size", type=int, default=224, metavar="PIXELS", help="height and width (224)")
    parser.add_argument(
        "--pattern", metavar="RE", help="regular expression whose group 'class' finds the class in a file's path"
    )
    parser.add_argument(
        "--most-unreadable", type=float, default=0.1, metavar="FLOAT", help="share of files that may be broken (0.1)"
    )


def run(options: argparse.Namespace) -> int:
    """Decode a source into one file, and tell what is in it."""
    import numpy as np

    from resnet50.data.hdf5 import read_h5
    from resnet50.data.listing import list_pictures
    from resnet50.data.pack import pack

    out = Path(options.out)
    if out.suffix.lower() not in (".h5", ".hdf5"):
        raise ValueError(f"{out}: the name of a packed file must end in .h5.")
    if out.exists():
        raise ValueError(f"{out}: there is a file already; remove it, or choose another name.")
    listing = list_pictures(options.source, pattern=options.pattern)
    with reading() as progress:
        unreadable = pack(listing, out, side=options.size, most_unreadable=options.most_unreadable, progress=progress)
    print(f"{out}: {listing.dataset}, RGB, {options.size} x {options.size} pixels, {out.stat().st_size / 1e6:,.1f} MB")
    for part, split in read_h5(out).items():
        counts = np.bincount(split.labels, minlength=len(split.class_names))
        classes = "  ".join(f"{name}: {count}" for name, count in zip(split.class_names, counts, strict=True))
        print(f"{part:11}{len(split):6} pictures   {classes}")
    for told in unreadable[:_SHOWN]:
        print(f"left out {told.path}: {told.reason}", file=sys.stderr)
    if unreadable:
        print(f"{len(unreadable)} of {len(listing.entries)} files were left out; {out} lists them.", file=sys.stderr)
    return 0
