"""The images that ``predict`` and ``embed`` are given, or one shard of them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from io import BytesIO
from pathlib import Path

from resnet50.cli.console import show
from resnet50.cli.left_out import show_left_out
from resnet50.cli.predictions import STDIN
from resnet50.cli.streams import read_stdin


def add_shard_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--shard``."""
    parser.add_argument(
        "--shard",
        metavar="K/N",
        help="Only the K-th of N equal parts of the image files, K from 1 to N, for an array of jobs. Default: all.",
    )


def find_files(names: Iterable[str], shard: str | None) -> list[Path]:
    """Return the image files of files and folders, or those of a shard; count what is left out.

    Raises:
        ValueError: If a folder holds no image, or there is no such shard.
    """
    from resnet50.inference.predict import search_images
    from resnet50.inference.shards import select_shard

    paths, left_out = search_images(names)
    show_left_out(left_out)
    if shard is None:
        return paths
    chosen = select_shard(paths, shard)
    show(f"shard {shard}: {len(chosen)} of {len(paths)} images", file=sys.stderr)
    return chosen


def find_inputs(names: Sequence[str], shard: str | None) -> list[Path | BytesIO]:
    """Return the images of files and folders, as `find_files`, and that of standard input, in the order of the names.

    Raises:
        ValueError: If a folder holds no image, there is no such shard, or standard input has no image, is named twice
            or is to be divided into shards.
    """
    if STDIN not in names:
        return [*find_files(names, shard)]
    if shard is not None:
        raise ValueError("expected files or folders with --shard, got - (standard input); leave one of the two out.")
    if (times := names.count(STDIN)) > 1:
        raise ValueError(f"expected - (standard input) once, got it {times} times; leave the others out.")
    place = names.index(STDIN)
    before, after = find_files(names[:place], shard), find_files(names[place + 1 :], shard)
    return [*before, read_stdin(), *after]
