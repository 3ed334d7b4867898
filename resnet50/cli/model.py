"""What commands share that use a trained model: naming it, and saying how fast it was."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from resnet50._io.quiet import quiet

if TYPE_CHECKING:
    from resnet50.inference.classifier import Classifier

RUNS = Path("runs")
"""Folder below which runs are put, in the current folder."""


def add_model_argument(parser: argparse.ArgumentParser, *, what: str = "a .keras file or a run") -> None:
    """Add the name of the model, which `find_model` takes."""
    parser.add_argument("--model", metavar="MODEL_OR_RUN", help=f"{what}; else the latest run in {RUNS}/")


def find_model(named: str | None) -> Path:
    """Return the file, or the export's folder, of the model that was named, or the file of the latest run.

    Raises:
        FileNotFoundError: If there is none.
    """
    from resnet50.inference.locate import is_export

    if named is not None:
        path = Path(named)
        return path / "model.keras" if path.is_dir() and not is_export(path) else path
    models = sorted(RUNS.glob("*/model.keras"), key=lambda model: model.stat().st_mtime)
    if not models:
        raise FileNotFoundError(f"expected a model, found none in {RUNS}/; train one first, or name one with --model.")
    return models[-1]


def load_classifier(path: Path) -> Classifier:
    """Open a classifier in its own runtime, quietly; Keras is imported for a ``.keras`` file alone."""
    from resnet50.inference.classifier import Classifier

    with quiet():
        return Classifier.load(path)


def say_rate(images: int, failed: int, seconds: float) -> None:
    """Say on standard error how many images there were, and how fast they were done; of a single one nothing."""
    if images > 1:
        bad = f", {failed} of them unreadable" if failed else ""
        print(f"{images} images{bad}, {images / seconds:.1f} images/s", file=sys.stderr)
