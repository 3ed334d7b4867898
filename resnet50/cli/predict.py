"""``resnet50 predict``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from resnet50.cli.quiet import import_keras
from resnet50.cli.train import RUNS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="picture files, or folders of them")
    parser.add_argument("--model", metavar="MODEL_OR_RUN", help=f"a .keras file or a run; else the latest in {RUNS}/")
    parser.add_argument("--top", type=int, default=3, metavar="INT", help="classes to name for each picture (3)")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")


def run(options: argparse.Namespace) -> int:
    """Classify every picture; 2 if one could not be read, after the others are done."""
    path = find_model(options.model)

    import_keras()
    from resnet50.classifier import Classifier
    from resnet50.inference.predict import find_pictures, predict

    pictures = find_pictures(options.images)
    classifier = Classifier.load(path)
    if not options.json:
        print(f"model: {path}, trained on {classifier.dataset}", file=sys.stderr)
    failed = 0
    width = max(len(str(picture)) for picture in pictures)
    for prediction in predict(classifier, pictures, top=options.top):
        failed += prediction.error is not None
        if options.json:
            told = {"path": str(prediction.path), "top": dict(prediction.top), "error": prediction.error}
            print(json.dumps({**told, "model": str(path), "dataset": classifier.dataset}))
        elif prediction.error is not None:
            print(prediction.error, file=sys.stderr)
        else:
            print(f"{prediction.path!s:{width}}", *(f"{name} {share:6.1%}" for name, share in prediction.top), sep="  ")
    return 2 if failed else 0


def find_model(named: str | None) -> Path:
    """Return the file of the model that was named, or of the latest run.

    Raises:
        FileNotFoundError: If there is none.
    """
    if named is not None:
        return Path(named, "model.keras") if Path(named).is_dir() else Path(named)
    models = sorted(RUNS.glob("*/model.keras"), key=lambda model: model.stat().st_mtime)
    if not models:
        raise FileNotFoundError(f"needed a model, found none in {RUNS}/; train one first, or name one with --model.")
    return models[-1]
