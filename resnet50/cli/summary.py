"""``resnet50 summary``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from resnet50.cli.console import show, step
from resnet50.cli.model import MODEL_HELP, find_model, load_classifier, load_keras
from resnet50.cli.parser import examples, number
from resnet50.cli.read_options import option
from resnet50.training.recipe import DEPTHS, FORMS

_NARROW = 6.3  # inches: a network in two lines, for phones


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.epilog = examples(
        "resnet50 summary --image-size 224 --classes 1000 --depth 18", "resnet50 summary runs/one --draw figures"
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
    parser.add_argument("--depth", type=number(int), choices=DEPTHS, help="Layers of the fresh network. Default: 50.")
    parser.add_argument("--form", choices=FORMS, help="Blocks of the fresh network. Default: residual.")
    parser.add_argument(
        "--draw",
        metavar="DIR",
        help="Also draw the network and its two blocks, as SVG for light and dark pages. Default: no figure.",
    )


def run(options: argparse.Namespace) -> int:
    """Print a row for each stage."""
    names = ("image_size", "classes", "depth", "form")
    fresh = {name: value for name in names if (value := getattr(options, name)) is not None}
    if options.model and fresh:
        named = ", ".join(map(option, fresh))
        raise ValueError(f"{named}: expected no model beside it, since a model has its own; leave it out.")
    path = find_model(options.model) if options.model else None
    load_keras()
    from resnet50.metrics.complexity import new_network, summary

    if path is not None:
        model = load_classifier(path, runtime="keras").model
    else:
        with step("building the network"):
            model = new_network(**fresh)
    show(*str(summary(model)).split("\n"))
    if options.draw:
        _draw(model, Path(options.draw))
    return 0


def _draw(model: Any, folder: Path) -> None:
    from resnet50.plots.diagrams.architecture import draw_block, draw_network
    from resnet50.plots.pair import save_pair

    figures = {
        model.name: draw_network(model),
        f"{model.name}-narrow": draw_network(model, width=_NARROW),
        "convolutional_block": draw_block(model, "conv3_block1"),
        "identity_block": draw_block(model, "conv2_block2"),
    }
    for name, figure in figures.items():
        show(*save_pair(figure, folder / f"{name}.svg"))
