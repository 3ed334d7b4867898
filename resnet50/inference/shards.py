"""Shards: the parts of a list of images that the jobs of an array classify, each for itself."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

_DIGITS = 9  # of each number


def select_shard(paths: Iterable[str | os.PathLike[str]], shard: str) -> list[Path]:
    """Return every N-th of the sorted paths, beginning with the K-th.

    The shards 1/N to N/N hold each path once, and their sizes differ by one at most. They depend on the paths alone,
    not on their order: jobs that are given the same files need not know of each other.

    Args:
        paths: Image files, such as those of `resnet50.find_images`.
        shard: ``"K/N"``: the K-th of N shards, counted from 1.

    Returns:
        The paths of the shard, sorted by their characters.

    Raises:
        ValueError: If the shard is not written in that way, or there are fewer images than shards.
    """
    match = re.fullmatch(rf"(\d{{1,{_DIGITS}}})/(\d{{1,{_DIGITS}}})", shard, re.ASCII)
    number, count = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= number <= count:
        raise ValueError(f"expected a shard K/N with K from 1 to N, such as 3/64, got {shard!r}.")
    ordered = sorted(map(Path, paths), key=Path.as_posix)
    if len(ordered) < count:
        raise ValueError(f"expected at most as many shards as images, {len(ordered)}, got {count}; start fewer jobs.")
    return ordered[number - 1 :: count]
