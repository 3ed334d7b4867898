"""``resnet50 rocks similarity``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from resnet50._io.quiet import import_keras
from resnet50.cli import source
from resnet50.cli.model import find_model

if TYPE_CHECKING:
    from resnet50.metrics.scores import Report
    from resnet50.metrics.similarity import Correlation, Similarity


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    what = "compare what a network sees with what people judge alike"
    similarity = actions.add_parser("similarity", help=what, description=what.capitalize() + ".", allow_abbrev=False)
    similarity.add_argument("model", metavar="MODEL_OR_RUN", help="a .keras file, or the folder of a run")
    similarity.add_argument(
        "--data", metavar="DIR", help="folder with 360 Rocks, 120 Rocks and both mds files; else where the run had them"
    )
    similarity.add_argument("--out", metavar="DIR", help="folder of what is written; else that of the model")
    similarity.add_argument(
        "--permutations", type=int, default=1000, metavar="INT", help="shuffles that tell what chance gives (1000)"
    )
    similarity.add_argument("--json", action="store_true", help="print what similarity.json holds")


def run(options: argparse.Namespace) -> int:
    """Compare, print a table, and write ``similarity.json`` and ``similarity.png``."""
    from resnet50.training.run import RunDirectory

    path, noted = find_model(options.model), {}
    if options.data is None and Path(options.model).is_dir():
        noted = RunDirectory(Path(options.model)).read()[1]["data"]

    import_keras()
    from resnet50._io.files import write_text
    from resnet50.inference.classifier import Classifier
    from resnet50.inference.features import feature_model
    from resnet50.metrics.scores import score
    from resnet50.metrics.similarity import similarity
    from resnet50.plots.save import save_figure
    from resnet50.plots.similarity import draw_similarity
    from resnet50.recipes import find_task, rocks

    classifier = Classifier.load(path)
    height, width = classifier.image_size
    if height != width:
        raise ValueError(f"{path}: expected a model of square images, got one of {width} x {height} pixels.")
    task = find_task(rocks.RECIPE.name)
    if options.data:
        splits = source.load(task, options.data, image_size=height, how={})
    else:
        splits = source.load_noted(task, noted, image_size=height, how={})
    data = options.data or noted["path"]
    fitted, held_out = splits.train, splits.test
    features = feature_model(classifier.model)
    found = similarity(
        features.predict(fitted.images, verbose=0),
        rocks.human_space(data, fitted),
        features.predict(held_out.images, verbose=0),
        rocks.human_space(data, held_out),
        permutations=options.permutations,
    )
    reports = {}
    if classifier.class_names == held_out.class_names:
        probabilities = classifier.probabilities(held_out.images)
        reports = {"kinds": score(probabilities, held_out)}
        reports["categories"] = score(*rocks.by_category(probabilities, held_out))
    accuracy = {name: {"accuracy": report.accuracy, "interval": report.interval} for name, report in reports.items()}
    told = {
        "model": str(path),
        "dataset": classifier.dataset,
        "dimension_names": rocks.DIMENSIONS,
        "similarity": asdict(found),
        "test": accuracy,
    }
    out = path.parent if options.out is None else Path(options.out)
    write_text(out / "similarity.json", json.dumps(told, indent=2))
    title = f"Rocks as people see them, and as {path} does"
    save_figure(draw_similarity(found, rocks.DIMENSIONS, title=title), out / "similarity.png")
    if options.json:
        print(json.dumps(told, indent=2))
        return 0
    _show(found, rocks.DIMENSIONS, reports)
    print(out / "similarity.json", out / "similarity.png", sep="\n")
    return 0


def _show(found: Similarity, names: Sequence[str], reports: dict[str, Report]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table("", box=None, pad_edge=False)
    columns = (found.fitted, found.held_out, found.realigned)
    for heading in (
        f"{found.fitted.images} aligned\non themselves",
        f"{found.held_out.images} others,\naligned as these",
        f"the {found.realigned.images} aligned\non themselves",
    ):
        table.add_column(f"{heading}\n{'r':>5} {'chance':>6} {'p':>6}", justify="right")
    table.add_row("overall", *(_cell(each.overall) for each in columns))
    for number, name in enumerate(names):
        table.add_row(f"{number + 1} {name}", *(_cell(each.dimensions[number]) for each in columns))
    console.print(table, highlight=False)
    console.print(
        f"\nfeatures reduced to {len(names)} dimensions, {found.variance:.1%} of their variance; r: "
        f"correlation; chance: its mean over {found.permutations:,} shuffles",
        highlight=False,
        soft_wrap=True,
    )
    for what, report in reports.items():
        low, high = report.interval
        words = f"{report.images} test images, {len(report.classes)} {what}: accuracy {report.accuracy:.1%}"
        console.print(f"{words} (95 % interval {low:.1%} to {high:.1%})", highlight=False, soft_wrap=True)


def _cell(correlation: Correlation) -> str:
    return f"{correlation.value:z5.2f} {correlation.chance:z6.2f} {correlation.p:6.3f}"
