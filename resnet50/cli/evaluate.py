"""``resnet50 evaluate``."""

from __future__ import annotations

import argparse
from pathlib import Path

from resnet50.cli.quiet import import_keras
from resnet50.recipes import RECIPES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("model", metavar="MODEL_OR_RUN", help="a .keras file, or the folder of a run")
    parser.add_argument(
        "--data", metavar="DIR", help="folder with the test pictures; else where the run or its recipe had them"
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def run(options: argparse.Namespace) -> int:
    """Score a classifier on the test split and print the report."""
    import_keras()
    from resnet50.classifier import Classifier
    from resnet50.cli.progress import show_report
    from resnet50.data.signs import TEST_FILE, read_signs
    from resnet50.evaluation.report import score
    from resnet50.training.run import RunFolder

    path, data = Path(options.model), options.data
    if path.is_dir():
        _, environment = RunFolder(path).read()
        path, data = RunFolder(path).model, data or environment["data"]["path"]
    classifier = Classifier.load(path)
    name = str(classifier.recipe.get("name"))
    if data:
        test = read_signs(Path(data, TEST_FILE), "test")
    elif name in RECIPES:
        _, test = RECIPES[name].load(None)
    else:
        raise ValueError(f"{path}: its recipe {name!r} is not known here; name the --data.")
    if test.class_names != classifier.class_names:
        raise ValueError(
            f"needed pictures of the classes {', '.join(classifier.class_names)}, got {', '.join(test.class_names)}."
        )
    report = score(classifier.probabilities(test.images), test)
    print(report.to_json()) if options.json else show_report(report)
    return 0
