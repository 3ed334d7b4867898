"""What commands share that use a trained model: naming it, and saying how fast it was."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

RUNS = Path("runs")
"""Folder below which runs are put, in the current folder."""


def add_model_argument(parser: argparse.ArgumentParser) -> None:
    """Add the name of the model, which `find_model` takes."""
    parser.add_argument("--model", metavar="MODEL_OR_RUN", help=f"a .keras file or a run; else the latest in {RUNS}/")


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


def say_rate(pictures: int, failed: int, seconds: float) -> None:
    """Say on standard error how many pictures there were, and how fast they were done; of a single one nothing."""
    if pictures > 1:
        bad = f", {failed} of them unreadable" if failed else ""
        print(f"{pictures} pictures{bad}, {pictures / seconds:.1f} pictures/s", file=sys.stderr)
