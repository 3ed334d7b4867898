"""Tables of published weights, of the facts about a file and of how it fits the network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from resnet50.cli.console import say, show, step
from resnet50.cli.model import load_keras
from resnet50.cli.tables import show_table
from resnet50.weights.status import cached_path, is_cached

if TYPE_CHECKING:
    from resnet50.weights.registry import PublishedWeights


def show_registry() -> None:
    """Print a row for each file of published weights."""
    from rich.table import Table

    from resnet50.weights.registry import REGISTRY

    table = Table("name", box=None, pad_edge=False)
    table.add_column("top-1 @size", justify="right")
    for column in ("license", "net", "cached"):
        table.add_column(column)
    for source in REGISTRY.values():
        license_ = source.license if source.commercial else f"{source.license} *"
        top1 = "" if source.top1 is None else f"{source.top1:g} @{source.top1_image_size}"
        table.add_row(source.name, top1, license_, source.conventions, "yes" if is_cached(source) else "")
    show_table(table)
    say("", "top-1: the publishers' figures, in percent, on ImageNet's validation images.")
    say("Names without a depth: ResNet-50.", "* not for commercial use")


def show_facts(source: PublishedWeights) -> None:
    """Print the facts about published weights, a line for each."""
    download = source.download
    published = (("SHA-256", download.sha256), ("MD5", download.md5))
    hashes = [f"{name} {value}" for name, value in published if value]
    lines = {
        "name": source.name,
        "publisher": source.publisher,
        "address": ", ".join(download.urls),
        "checked by": ", ".join(hashes) or "the SHA-256 that the server states",
        "size": "not published" if download.size is None else f"{download.size:,} bytes",
        "license": source.license + ("" if source.commercial else ", not for commercial use"),
        "network": f"ResNet-{source.depth} {source.conventions}",
        "normalization": source.normalization,
        "tested at": _test_size(source),
        "top-1": f"{_top1(source)} (the publisher's figure)" if source.top1 is not None else "not published",
        "classes": str(source.classes or "none: it holds no classifier"),
        "file": str(cached_path(source)),
    }
    for name, value in lines.items():
        show(f"{name:14}{value}")


def show_fit(weights: str | Path, path: Path, classes: int | None) -> None:
    """Print the content of a file of weights, and the report on loading it into a network.

    Args:
        weights: The published name, or the file.
        path: The file.
        classes: Classes of the network; None for those of the file.
    """
    load_keras()
    from resnet50.build import build_resnet50
    from resnet50.model import STAGES, TABLE_1
    from resnet50.weights.layouts import count_layers
    from resnet50.weights.normalization import UNKNOWN
    from resnet50.weights.read import read_weights
    from resnet50.weights.status import channels_of, classes_of, form_of
    from resnet50.weights.transfer import load_weights

    with step("reading the weights"):
        file = read_weights(weights)
    values = sum(array.size for arrays in file.arrays.values() for array in arrays)
    show(f"{path}: layout {file.layout}, {len(file.arrays)} layers, {values:,} numbers")
    depth, form = count_layers(file.arrays) or 50, form_of(file)
    show(f"network ResNet-{depth} {file.conventions.name}, {form} blocks, normalization {file.normalization}")
    classes = classes_of(file) if classes is None else classes
    with step("building the network"):
        model = build_resnet50(
            classes,
            input_shape=(224, 224, channels_of(file)),
            normalization=None if file.normalization == UNKNOWN else file.normalization,
            conventions=file.conventions,
            stages=TABLE_1.get(depth, STAGES),
            form=form,
            adapt_stem=True,  # required for another number of channels than 3
        )
    show("", f"loaded into a network of {classes} classes:")
    say(*str(load_weights(model, file)).split("\n"), indent=12)


def _top1(source: PublishedWeights) -> str:
    return "" if source.top1 is None else f"{source.top1:g} % at {source.top1_image_size}"


def _test_size(source: PublishedWeights) -> str:
    size = f"{source.image_size} x {source.image_size} pixels"
    if source.crop is None:
        return size
    shorter = source.image_size / source.crop
    return f"{size}, cropped from an image whose shorter side is {shorter:.0f}, {source.interpolation}"
