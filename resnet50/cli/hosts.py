"""``--hosts``: train together with other processes."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from resnet50.data.share import Share


def add_hosts_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--hosts``, which `join` reads."""
    parser.add_argument(
        "--hosts",
        metavar="ADDRESS,COUNT,INDEX",
        help="Train together with other processes (JAX): address and port of the first, their number, and that of this "
        "one from 0; auto to let JAX find them, or none to train alone. Default: all that srun or mpirun started.",
    )


def join(options: argparse.Namespace) -> Share:
    """Join the other processes of a training; only the first of them prints.

    Returns:
        The share of the batches that this process trains on.

    Raises:
        ValueError: If they cannot be joined.
    """
    from resnet50.training.devices import join_cluster

    share = join_cluster(options.hosts)
    if share.rank:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - as long as the process lives
    return share


def is_alone(options: argparse.Namespace) -> bool:
    """Return whether this process trains a new run alone, before images are read and Keras is loaded.

    Raises:
        ValueError: If ``--hosts`` is none of its values, a launcher does not say where the first process is, or
            ``--out`` is missing where several processes may train together.
    """
    from resnet50.training.launchers import find_launcher, parse_hosts

    if options.hosts is None:
        alone = find_launcher(os.environ) is None
    else:
        alone = options.hosts == "none" or (options.hosts != "auto" and parse_hosts(options.hosts)[1] == 1)
    if not (alone or options.out):
        raise ValueError(
            "expected --out where several processes may train together, got none; give all of them the same folder."
        )
    return alone
