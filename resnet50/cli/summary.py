"""``resnet50 summary``."""

from __future__ import annotations

import argparse
from pathlib import Path

from resnet50._io.quiet import import_keras


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("model", nargs="?", metavar="MODEL_OR_RUN", help="a trained classifier; else a fresh network")
    parser.add_argument(
        "--image-size", type=int, default=64, metavar="INT", help="height and width of the fresh one (64)"
    )
    parser.add_argument("--classes", type=int, default=6, metavar="INT", help="classes of the fresh one (6)")
    parser.add_argument("--draw", metavar="DIR", help="also draw the network and its two kinds of block into DIR")


def run(options: argparse.Namespace) -> int:
    """Print a row for each stage."""
    import_keras()
    from rich.console import Console
    from rich.table import Table

    from resnet50.build import build_resnet50
    from resnet50.cli.model import find_model
    from resnet50.inference.classifier import Classifier
    from resnet50.metrics.complexity import stage_costs

    if options.model:
        model = Classifier.load(find_model(options.model)).model
    else:
        model = build_resnet50(options.classes, input_shape=(options.image_size, options.image_size, 3))
    costs = stage_costs(model)
    table = Table("stage", box=None)
    for name in ("layers", "output", "parameters", "MACs"):
        table.add_column(name, justify="right")
    for cost in costs:
        size = " x ".join("any" if image_size is None else str(image_size) for image_size in cost.output)
        table.add_row(cost.name, str(cost.layers), size, f"{cost.parameters:,}", f"{cost.macs:,}")
    total = (str(sum(c.layers for c in costs)), "", *(f"{sum(getattr(c, n) for c in costs):,}" for n in _TOTALS))
    table.add_row("total", *total, style="bold")
    Console().print(table, highlight=False)
    if options.draw:
        _draw(model, Path(options.draw))
    return 0


_TOTALS = ("parameters", "macs")


def _draw(model: object, folder: Path) -> None:
    from resnet50.plots.diagrams.architecture import draw_block, draw_network
    from resnet50.plots.save import save_figure

    for name, figure in (
        ("resnet50", draw_network(model)),
        ("convolutional_block", draw_block(model, "conv3_block1")),
        ("identity_block", draw_block(model, "conv2_block2")),
    ):
        path = folder / f"{name}.png"
        save_figure(figure, path)
        print(path)
