"""``resnet50 rocks similarity``."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from resnet50.cli.console import say, show, show_json, step
from resnet50.cli.model import MODEL_HELP, find_model, load_keras
from resnet50.cli.parser import examples, number
from resnet50.cli.tables import show_table

if TYPE_CHECKING:
    from resnet50.evaluation.rock_similarity import RockSimilarity
    from resnet50.metrics.similarity import Correlation, Similarity


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION", title="actions")
    words = "Compare the features of a network with human judgment of similarity."
    similarity = actions.add_parser("similarity", help=words, description=words)
    parser.epilog = similarity.epilog = examples(
        "resnet50 rocks similarity runs/rocks-20260102-030405 --data downloads/rocks"
    )
    similarity.add_argument("model", metavar="MODEL_OR_RUN", help=MODEL_HELP)
    similarity.add_argument(
        "--data",
        metavar="DIR",
        help="Folder with 360 Rocks, 120 Rocks and both mds files. Default: the folder that the run recorded.",
    )
    similarity.add_argument("--out", metavar="DIR", help="Folder to write to. Default: that of the model.")
    similarity.add_argument(
        "--permutations",
        type=number(int, 1),
        default=1000,
        metavar="INT",
        help="Shuffles for the correlation that chance gives. Default: 1000.",
    )
    similarity.add_argument("--json", action="store_true", help="Print the contents of similarity.json.")


def run(options: argparse.Namespace) -> int:
    """Compare, print a table, and write ``similarity.json`` and ``similarity.png``."""
    find_model(options.model)
    load_keras()
    from resnet50.evaluation.rock_similarity import rock_similarity

    with step("comparing") as progress:
        result = rock_similarity(
            options.model, options.data, out=options.out, permutations=options.permutations, progress=progress
        )
    if options.json:
        show_json(json.dumps(result.to_dict(), indent=2))
        return 0
    _show(result)
    show(result.folder / "similarity.json", result.folder / "similarity.png")
    return 0


def _show(result: RockSimilarity) -> None:
    from resnet50.datasets.rocks import DIMENSIONS

    _show_table(result.similarity, DIMENSIONS)
    say(
        "",
        f"features reduced to {len(DIMENSIONS)} dimensions, {result.similarity.variance:.1%} of their variance; r: "
        f"correlation; chance: its mean over {result.similarity.permutations:,} shuffles",
    )
    for name, report in result.reports.items():
        low, high = report.interval
        say(
            f"{report.images} test images, {len(report.classes)} {name}: accuracy {report.accuracy:.1%} "
            f"(95% interval {low:.1%} to {high:.1%})"
        )


def _show_table(similarity: Similarity, dimensions: tuple[str, ...]) -> None:
    from rich.table import Table

    table = Table("", box=None, pad_edge=False)
    columns = (similarity.fitted, similarity.held_out, similarity.realigned)
    for heading in (
        f"{similarity.fitted.images} aligned\non themselves",
        f"{similarity.held_out.images} others,\naligned as these",
        f"the {similarity.realigned.images} aligned\non themselves",
    ):
        table.add_column(f"{heading}\n{'r':>5} {'chance':>6} {'p':>6}", justify="right")
    table.add_row("overall", *(_cell(column.overall) for column in columns))
    for number_, name in enumerate(dimensions, 1):
        table.add_row(f"{number_} {name}", *(_cell(column.dimensions[number_ - 1]) for column in columns))
    show_table(table)


def _cell(correlation: Correlation) -> str:
    return f"{correlation.value:z5.2f} {correlation.chance:z6.2f} {correlation.p:6.3f}"
