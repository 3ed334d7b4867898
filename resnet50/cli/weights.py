"""``resnet50 weights list``, ``show``, ``fetch`` and ``verify``."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from resnet50.cli.bars import bar

if TYPE_CHECKING:
    from resnet50.weights.registry import PublishedWeights

_SUFFIXES = (".h5", ".hdf5", ".keras", ".safetensors", ".pth", ".pt", ".bin")
_RIGHT = "right"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="list the published weights", allow_abbrev=False)
    listing.add_argument("--json", action="store_true", help="print everything that is known of them as JSON")
    show = actions.add_parser("show", help="tell what is known of weights, and how they fit", allow_abbrev=False)
    show.add_argument("weights", metavar="NAME_OR_FILE", help="published weights, or a file of weights")
    show.add_argument(
        "--classes", type=int, metavar="INT", help="classes of the network to try them on; else those of the file"
    )
    fetch = actions.add_parser("fetch", help="download published weights into the cache", allow_abbrev=False)
    fetch.add_argument("names", nargs="+", metavar="NAME", help="published weights (see resnet50 weights list)")
    verify = actions.add_parser("verify", help="check files by their published hashes", allow_abbrev=False)
    verify.add_argument("weights", nargs="*", metavar="NAME_OR_FILE", help="which; else all that are in the cache")


def run(options: argparse.Namespace) -> int:
    """List, show, fetch or verify."""
    return {"list": _list, "show": _show, "fetch": _fetch, "verify": _verify}[options.action](options)


def _list(options: argparse.Namespace) -> int:
    from resnet50.weights.registry import REGISTRY

    if options.json:
        print(json.dumps([_facts(source) for source in REGISTRY.values()], indent=2))
        return 0
    from rich.console import Console
    from rich.table import Table

    table = Table("name", box=None, pad_edge=False)
    table.add_column("top-1", justify="right")
    for column in ("license", "network", "cached"):
        table.add_column(column)
    for source in REGISTRY.values():
        spdx = source.license if source.commercial else f"{source.license} *"
        table.add_row(source.name, _top1(source), spdx, source.conventions, "yes" if _path(source).is_file() else "")
    Console().print(table, highlight=False, no_wrap=True)
    print("\ntop-1: the publishers' figures, on ImageNet's validation images of that size.")
    print("* not for commercial use")
    return 0


def _show(options: argparse.Namespace) -> int:
    source, path = _find(options.weights)
    if source is not None:
        _print_facts(source)
        if not path.is_file():
            print(f"\nnot in the cache: resnet50 weights fetch {source.name}")
            return 0
        print()
        from resnet50.weights.fetch import check_weights

        if wrong := check_weights(source.name):  # before reading, which would fetch it again
            print(f"in the cache, but WRONG: {wrong}")
            return 2
    from resnet50._io.quiet import import_keras

    import_keras()
    from resnet50.build import build_resnet50
    from resnet50.weights.normalization import UNKNOWN
    from resnet50.weights.read import read_weights
    from resnet50.weights.transfer import load_weights

    weights = read_weights(path if source is None else source.name)
    values = sum(array.size for arrays in weights.arrays.values() for array in arrays)
    stem, head = weights.arrays.get("conv1_conv"), weights.arrays.get("predictions")
    print(f"{path}: layout {weights.layout}, {len(weights.arrays)} layers, {values:,} numbers")
    print(f"network {weights.conventions.name}, normalization {weights.normalization}")
    classes = options.classes
    if classes is None:
        classes = max(head[0].shape[-1], 2) if head and head[0].ndim == 2 else 1000
    channels = stem[0].shape[2] if stem and stem[0].ndim == 4 else 3
    model = build_resnet50(
        classes,
        input_shape=(224, 224, channels),
        normalization=None if weights.normalization == UNKNOWN else weights.normalization,
        conventions=weights.conventions,
        adapt_stem=True,  # what another number of channels is called
    )
    print(f"\ninto a network of {classes} classes:")
    print(load_weights(model, weights))
    return 0


def _fetch(options: argparse.Namespace) -> int:
    from resnet50.weights.fetch import fetch_weights
    from resnet50.weights.registry import find_published

    for source in [find_published(name) for name in options.names]:  # all names are checked before the first is fetched
        with bar(source.name, in_bytes=True) as show:
            path = fetch_weights(source.name, progress=show)
        print(path)
        if not source.commercial:
            print(f"{source.name}: {source.license}, not for commercial use", file=sys.stderr)
    return 0


def _verify(options: argparse.Namespace) -> int:
    from resnet50.weights.registry import REGISTRY

    words = options.weights or [name for name, source in REGISTRY.items() if _path(source).is_file()]
    if not words:
        print("no published weights are in the cache")
    verdicts = [_verdict(*_find(word)) for word in words]
    for what, verdict in verdicts:
        print(f"{what}: {verdict}")
    return 0 if all(verdict == _RIGHT for _, verdict in verdicts) else 2


def _verdict(source: PublishedWeights | None, path: Path) -> tuple[str, str]:
    """Return what was looked at, and whether it is right; a file of no row is compared with the row of its name."""
    from resnet50.weights.fetch import check_weights
    from resnet50.weights.registry import REGISTRY

    for row in (source,) if source else REGISTRY.values():
        if row.download.name == path.name:
            what = f"{row.name} ({path})"
            if not path.is_file():
                return what, "not there"
            wrong = check_weights(row.name, folder=path.parent)
            return what, _RIGHT if wrong is None else f"WRONG, {wrong}"
    for row in REGISTRY.values():
        if row.download.mismatch(path) is None:
            return f"{row.name} ({path})", _RIGHT
    return str(path), "unknown, no published weights have its hash"


def _find(word: str) -> tuple[PublishedWeights | None, Path]:
    """Return the row that is named and where its file is or would be; or None and the file that is named."""
    from resnet50.weights.registry import REGISTRY, find_published

    path = Path(word)
    if word not in REGISTRY:
        if path.is_file():
            return None, path
        if path.suffix in _SUFFIXES:
            found = "a folder" if path.is_dir() else "nothing there"
            raise FileNotFoundError(f"{word}: expected a file of weights, or a name of published ones, found {found}.")
    source = find_published(word)
    return source, _path(source)


def _path(source: PublishedWeights) -> Path:
    from resnet50.weights.fetch import weights_folder

    return weights_folder(source) / source.download.name


def _top1(source: PublishedWeights) -> str:
    return "" if source.top1 is None else f"{source.top1:g} % at {source.top1_image_size}"


def _facts(source: PublishedWeights) -> dict[str, object]:
    """Everything that is known of published weights, plain enough for JSON."""
    path = _path(source)
    return {**dataclasses.asdict(source), "path": str(path), "cached": path.is_file()}


def _print_facts(source: PublishedWeights) -> None:
    download = source.download
    hashes = [f"{what} {value}" for what, value in (("SHA-256", download.sha256), ("MD5", download.md5)) if value]
    test = f"{source.image_size} x {source.image_size} pixels"
    if source.crop is not None:
        test += (
            f", cut from an image whose shorter side is {source.image_size / source.crop:.0f}, {source.interpolation}"
        )
    lines = {
        "name": source.name,
        "publisher": source.publisher,
        "address": ", ".join(download.urls),
        "checked by": ", ".join(hashes) or "the SHA-256 that the server states",
        "size": "not published" if download.size is None else f"{download.size:,} bytes",
        "license": source.license + ("" if source.commercial else ", not for commercial use"),
        "network": source.conventions,
        "normalization": source.normalization,
        "tested at": test,
        "top-1": f"{_top1(source)} (the publisher's figure)" if source.top1 is not None else "not published",
        "classes": str(source.classes or "none: it holds no classifier"),
        "file": str(_path(source)),
    }
    for what, value in lines.items():
        print(f"{what:14}{value}")
