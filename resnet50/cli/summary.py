"""``resnet50 summary``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from resnet50.cli.console import show, step
from resnet50.cli.model import MODEL_HELP, find_model, load_classifier, load_keras
from resnet50.cli.parser import examples, number

_NARROW = 6.3  # inches: a network in two lines, for phones


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.epilog = examples(
        "resnet50 summary --image-size 224 --classes 1000", "resnet50 summary runs/one --draw figures"
    )
    parser.add_argument("model", nargs="?", metavar="MODEL_OR_RUN", help=f"{MODEL_HELP} Default: a fresh network.")
    parser.add_argument(
        "--image-size",
        type=number(int, 1),
        metavar="PIXELS",
        help="Height and width of the fresh network's images. Default: 64.",
    )
    parser.add_argument(
        "--classes", type=number(int, 1), metavar="INT", help="Classes of the fresh network. Default: 6."
    )
    parser.add_argument(
        "--draw",
        metavar="DIR",
        help="Also draw the network and its two blocks, as SVG for light and dark pages. Default: no figure.",
    )


def run(options: argparse.Namespace) -> int:
    """Print a row for each stage."""
    sizes = {"--image-size": options.image_size, "--classes": options.classes}
    if options.model and (named := [name for name, size in sizes.items() if size is not None]):
        raise ValueError(f"{', '.join(named)}: expected no model beside it, since a model has its own; leave it out.")
    path = find_model(options.model) if options.model else None
    load_keras()
    from resnet50.build import build_resnet50
    from resnet50.metrics.complexity import summary

    if path is not None:
        model = load_classifier(path, runtime="keras").model
    else:
        with step("building the network"):
            size = options.image_size or 64
            model = build_resnet50(options.classes or 6, input_shape=(size, size, 3))
    show(*str(summary(model)).split("\n"))
    if options.draw:
        _draw(model, Path(options.draw))
    return 0


def _draw(model: Any, folder: Path) -> None:
    from resnet50.plots.diagrams.architecture import draw_block, draw_network
    from resnet50.plots.pair import save_pair

    figures = {
        "resnet50": draw_network(model),
        "resnet50-narrow": draw_network(model, width=_NARROW),
        "convolutional_block": draw_block(model, "conv3_block1"),
        "identity_block": draw_block(model, "conv2_block2"),
    }
    for name, figure in figures.items():
        show(*save_pair(figure, folder / f"{name}.svg"))
