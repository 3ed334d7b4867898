"""``--ray`` of ``predict`` and ``embed``: the machines of a Ray cluster answer, into a folder of Parquet files."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resnet50._io.text import plural
from resnet50.cli import model as models
from resnet50.cli.console import show, step
from resnet50.cli.doubt_options import find_shares
from resnet50.cli.predictions import FORMATS, STDIN
from resnet50.cli.shard_option import find_files

if TYPE_CHECKING:
    from collections.abc import Callable

    from resnet50.inference.on_ray import StoredResults

OUT_HELP = (
    "Write a new .csv, .json or .jsonl file, and print nothing. With --ray, a folder of Parquet files, which may have "
    "results already."
)
"""Help of ``predict --out``."""

_FILES = (*FORMATS, ".npz", ".parquet")


def add_ray_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--ray``."""
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="Let the machines of a Ray cluster answer, HOST:PORT of its head, or local for this machine. Images may "
        "also be those of a .parquet file with a column path. The same command goes on after an interruption. Default: "
        "without Ray.",
    )


def predict_on_ray(options: argparse.Namespace) -> int:
    """Classify every image on the machines of a cluster; 2 if one cannot be read."""
    if options.out is None:
        raise ValueError("expected a folder for the results with --ray, got none; give --out FOLDER.")
    if STDIN in options.images:
        raise ValueError("expected files or folders with --ray, got - (standard input); leave one of the two out.")
    from resnet50.inference.on_ray import predict_on_ray as predict

    paths, path, classifier = _begin(options, options.images, exports=True)
    shares = find_shares(options, classifier)
    models.show_model(path, classifier)
    return _finish(predict, options, path, paths, top=options.top, **shares)


def embed_on_ray(options: argparse.Namespace) -> int:
    """Compute the features of every image on the machines of a cluster; 2 if one cannot be read."""
    from resnet50.inference.on_ray import embed_on_ray as embed

    paths, path, classifier = _begin(options, [options.folder], exports=False)
    models.show_model(path, classifier)
    return _finish(embed, options, path, paths, at=options.at)


def _begin(options: argparse.Namespace, names: Sequence[str], *, exports: bool) -> tuple[list[Path], Path, Any]:
    if Path(options.out).suffix.lower() in _FILES:
        raise ValueError(f"{options.out}: expected the name of a folder with --ray, got that of a file; leave one out.")
    from resnet50.inference.on_ray import check_packages

    check_packages()
    path = models.find_model(options.model, exports=exports)
    paths = find_files(_with_manifests(names), options.shard)
    return paths, path, models.load_classifier(path, precision=options.precision, calibration=options.data)


def _with_manifests(names: Sequence[str]) -> list[str]:
    found: list[str] = []
    for name in names:
        if Path(name).suffix.lower() == ".parquet" and Path(name).is_file():
            from resnet50.inference.parquet_folder import read_manifest

            found += map(str, read_manifest(name))
        else:
            found.append(name)
    return found


def _finish(
    answer: Callable[..., StoredResults], options: argparse.Namespace, path: Path, paths: Sequence[Path], **more: Any
) -> int:
    start = time.perf_counter()
    with step("answering") as progress:
        results = answer(
            path,
            paths,
            options.out,
            address=options.ray,
            precision=options.precision,
            calibration=options.data,
            progress=progress,
            **more,
        )
    if results.before:
        show(f"{results.before} of {results.images} images had results before", file=sys.stderr)
    models.show_rate(results.images - results.before, 0, time.perf_counter() - start)
    show(f"{options.out}: {plural(results.images, 'image')} ({results.unreadable} unreadable)")
    return 2 if results.unreadable else 0
