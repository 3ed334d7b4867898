"""``resnet50 pack``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from resnet50._io.files import check_new
from resnet50._io.text import plural
from resnet50.cli import fit_options, read_options
from resnet50.cli.console import say, step
from resnet50.cli.out import check_file
from resnet50.cli.packed import say_corrections, show_packed
from resnet50.cli.parser import examples, number
from resnet50.data.fit import DEFAULT_FIT, Fit

if TYPE_CHECKING:
    from resnet50.data.listing import Listing
    from resnet50.data.options import ReadOptions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.epilog = examples(
        "resnet50 pack photos photos.h5", "resnet50 train photos.h5", "resnet50 pack photos photos-records --records"
    )
    parser.add_argument(
        "source",
        metavar="SRC",
        help="Folder of images, a CSV file with a header path,label, or the address of a folder, such as s3://bucket/photos.",
    )
    parser.add_argument("out", metavar="OUT", help="New .h5 file, or folder of records, that 'resnet50 train' takes.")
    parser.add_argument(
        "--image-size",
        type=number(int, 1),
        metavar="PIXELS",
        help="Height and width that images are brought to, in an .h5 file. Default: 224.",
    )
    records = parser.add_argument_group("records of the image files as they are, for very many images")
    records.add_argument("--records", action="store_true", help="Write ArrayRecord files and a manifest into a folder.")
    records.add_argument(
        "--shards", type=number(int, 1), metavar="N", help="Number of files with records. Default: one for 256 MiB."
    )
    read_options.add_read_options(parser, "pattern", "max_unreadable", "groups", "corrections")
    fit_options.add_fit_options(parser.add_argument_group("fitting images"))


def run(options: argparse.Namespace) -> int:
    """Decode a source into one file, or write its files into records, and print the contents."""
    if not options.records:
        check_file(options.out, ".h5", ".hdf5")
    check_new(options.out)
    fit = fit_options.read_fit(options)
    if options.records and (options.image_size or fit):
        raise ValueError("expected no image size and no fit with --records, which stores image files as they are.")
    if options.shards and not options.records:
        raise ValueError("expected --records with --shards, got --shards alone; an .h5 file is one file.")

    from resnet50.data.listing import list_images
    from resnet50.data.pack import packed_bytes
    from resnet50.data.pack_records import room_for_records
    from resnet50.data.records import array_record
    from resnet50.data.remote import local_copy

    if options.records:
        array_record()  # before images are copied for nothing
    chosen, out, size = read_options.read_options(options), Path(options.out), options.image_size or 224
    needed: Callable[[int, int], int] = room_for_records if options.records else lambda n, _: packed_bytes(n, size)
    with ExitStack() as copied:
        with step("copying images") as progress:
            copy = local_copy(options.source, beside=out, needed=needed, progress=progress)
            source = copied.enter_context(copy)
        with step("listing images"):
            listing = list_images(source, pattern=chosen.pattern, groups=chosen.groups)
        if options.records:
            _pack_records(listing, out, options.shards, chosen)
        else:
            _pack(listing, out, size, fit or DEFAULT_FIT, chosen)
    return 0


def _pack(listing: Listing, out: Path, size: int, fit: Fit, chosen: ReadOptions) -> None:
    from resnet50.data.hdf5 import read_h5, read_packing
    from resnet50.data.pack import pack

    with step("reading images") as progress:
        unreadable = pack(listing, out, image_size=size, fit=fit, options=chosen, progress=progress)
    say_corrections(chosen)
    say(f"{out}: {listing.name}, RGB, {size} x {size} pixels, {out.stat().st_size / 1e6:,.1f} MB")
    packing = read_packing(out)
    fit_options.say_range(packing.fit or fit)
    show_packed(out, len(listing.entries), read_h5(out), unreadable, packing.left_out)


def _pack_records(listing: Listing, out: Path, shards: int | None, chosen: ReadOptions) -> None:
    from resnet50.data.loading import read_splits
    from resnet50.data.pack_records import pack_records

    with step("reading images") as progress:
        unreadable = pack_records(listing, out, shards=shards, options=chosen, progress=progress)
    say_corrections(chosen)
    files = [file.stat().st_size for file in out.iterdir()]
    say(f"{out}: {listing.name}, {plural(len(files) - 1, 'shard')}, {sum(files) / 1e6:,.1f} MB")
    splits = read_splits(out, image_size=1, for_training=False)
    fit_options.say_range(splits.fit)
    show_packed(out, len(listing.entries), splits.by_name, unreadable, splits.left_out)
