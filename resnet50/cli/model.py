"""Shared steps of the commands that use a trained model: find it, open it, and report its speed."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from resnet50._io.quiet import quiet
from resnet50.cli.console import say, show, step
from resnet50.inference.locate import RUNS, latest_run, locate

if TYPE_CHECKING:
    from resnet50.inference.classifier import Classifier

MODEL_HELP = "A .keras file, or the folder of a run."


def add_model_option(parser: argparse.ArgumentParser, *, what: str = "a .keras file or the folder of a run") -> None:
    """Add the name of the model, which `find_model` takes."""
    parser.add_argument("--model", metavar="MODEL_OR_RUN", help=f"Model: {what}. Default: the latest run in {RUNS}/.")


def find_model(named: str | None) -> Path:
    """Return the file, or the export's folder, of the named model, or the file of the latest run.

    Raises:
        FileNotFoundError: If there is none.
    """
    return locate(named if named is not None else latest_run()).model


def load_classifier(path: Path) -> Classifier:
    """Open a classifier in its own runtime, quietly; Keras is imported only for a ``.keras`` file."""
    from resnet50.inference.classifier import Classifier

    with step("opening the model"), quiet():
        return Classifier.load(path)


def load_keras() -> None:
    """Import Keras, which takes seconds."""
    with step("loading Keras"):
        import keras  # noqa: F401 - imported for its effect


def show_model(path: Path, classifier: Classifier) -> None:
    """Print on standard error which model is used."""
    say(f"model: {path}, trained on {classifier.dataset}", file=sys.stderr)


def show_rate(images: int, failed: int, seconds: float) -> None:
    """Print on standard error the number of images and the speed in images per second; nothing for a single image."""
    if images > 1:
        unreadable = f" ({failed} unreadable)" if failed else ""
        show(f"{images} images{unreadable}, {images / seconds:.1f} images/s", file=sys.stderr)
