"""The images that ``predict`` and ``embed`` are given, or one shard of them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from resnet50.cli.console import show
from resnet50.cli.left_out import show_left_out


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
