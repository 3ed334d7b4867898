"""``resnet50 embed``."""

from __future__ import annotations

import argparse
import sys
import time

from resnet50._io.files import check_new
from resnet50._io.text import plural
from resnet50.cli.console import show, step
from resnet50.cli.model import (
    add_calibration_option,
    add_model_option,
    add_precision_option,
    find_model,
    load_classifier,
    show_model,
    show_rate,
)
from resnet50.cli.out import check_file
from resnet50.cli.parser import examples
from resnet50.cli.ray_option import add_ray_option, embed_on_ray
from resnet50.cli.shard_option import add_shard_option, find_files


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.epilog = examples(
        "resnet50 embed photos features.npz",
        "resnet50 embed photos features.npz --model runs/one",
        "resnet50 embed photos conv4.npz --at conv4_block6_out",
        "resnet50 embed photos features-3.npz --shard 3/64",
        "resnet50 embed photos features --ray 192.168.1.10:6379",
    )
    parser.add_argument("folder", metavar="FOLDER", help="Folder of image files, or one file.")
    parser.add_argument(
        "out",
        metavar="OUT.npz",
        help="New file to write: features, paths, and what computed them. With --ray, a folder of Parquet files.",
    )
    add_model_option(parser)
    parser.add_argument(
        "--at",
        metavar="LAYER",
        help="Layer whose output is taken, its mean over positions. Default: the input of the last dense layer.",
    )
    add_precision_option(parser)
    add_calibration_option(parser)
    add_shard_option(parser)
    add_ray_option(parser)


def run(options: argparse.Namespace) -> int:
    """Write the features of every image; 2 if one could not be read, after the others are done."""
    if options.ray:
        return embed_on_ray(options)
    path = find_model(options.model)
    check_file(options.out, ".npz")
    check_new(options.out)

    images = find_files([options.folder], options.shard)
    classifier = load_classifier(path, precision=options.precision, calibration=options.data)
    from resnet50.inference.embed import embed

    show_model(path, classifier)
    start = time.perf_counter()
    with step("computing features") as progress:
        embedding = embed(classifier, images, at=options.at, progress=progress)
    seconds = time.perf_counter() - start
    for file in embedding.unreadable:
        show(file.reason, file=sys.stderr)
    if not embedding.paths:
        raise ValueError(f"{options.folder}: expected images, got {plural(len(images), 'file')} that cannot be read.")
    embedding.save(options.out, model=path)
    show_rate(len(images), len(embedding.unreadable), seconds)
    count, width = embedding.features.shape
    at = f" at {options.at}" if options.at else ""
    show(f"{options.out}: {plural(count, 'image')}, {width} features each{at}")
    return 2 if embedding.unreadable else 0
