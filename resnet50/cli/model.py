"""Shared steps of the commands that use a trained model: find it, open it, and report its speed."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from resnet50.cli.console import say, show, step
from resnet50.inference.locate import PRECISIONS, RUNS, latest_run, locate

if TYPE_CHECKING:
    from resnet50.inference.classifier import Classifier

_KERAS_FILE = "a .keras file or the folder of a run"

MODEL_HELP = "A .keras file, or the folder of a run."


def add_model_option(parser: argparse.ArgumentParser, *, what: str = _KERAS_FILE) -> None:
    """Add the name of the model, which `find_model` takes."""
    parser.add_argument("--model", metavar="MODEL_OR_RUN", help=f"Model: {what}. Default: the latest run in {RUNS}/.")


def add_precision_option(parser: argparse.ArgumentParser) -> None:
    """Add the precision of the computation, which `load_classifier` takes."""
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="fp32",
        help="Precision of the computation, for a .keras file or run: bf16, by OpenVINO, where the processor has it; "
        "int8, calibrated once on images. Default: fp32.",
    )


def add_calibration_option(parser: argparse.ArgumentParser) -> None:
    """Add the place of the images that int8 is calibrated on, which `load_classifier` takes."""
    parser.add_argument(
        "--data",
        metavar="PATH",
        help="Folder, CSV file or h5 file of images to calibrate int8 on. Default: as the last time or, if there was "
        "none, those of the training.",
    )


def find_model(named: str | None, *, exports: bool = False) -> Path:
    """Return the path of the named model or that of the latest run; of an export, its folder.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is an export and exports are not allowed.
    """
    path = named if named is not None else latest_run()
    located = locate(path) if exports else locate(path, expected=_KERAS_FILE)
    if located.kind == "export" and not exports:
        raise ValueError(
            f"{located.model}: expected {_KERAS_FILE}, got an export, which has no layers; "
            "name the model that it was made from."
        )
    return located.model


def load_classifier(
    path: Path, *, runtime: str | None = None, precision: str = "fp32", calibration: str | None = None
) -> Classifier:
    """Open a classifier; Keras is imported where it is asked for or ONNX does not express a layer."""
    from resnet50.inference.classifier import Classifier

    with step("opening the model") as progress:
        return Classifier.load(path, runtime=runtime, precision=precision, calibration=calibration, progress=progress)


def load_keras() -> None:
    """Import Keras, which takes seconds."""
    with step("loading Keras"):
        import keras  # noqa: F401 - imported for its effect


def show_model(path: Path, classifier: Classifier) -> None:
    """Print on standard error which model is used, and in which precision it answers if that is not fp32."""
    precision = "" if classifier.precision == "fp32" else f", computed in {classifier.precision}"
    distance = getattr(classifier.network, "distance", None)
    if distance is not None:
        precision += f" (probabilities differ from fp32's by {distance:.2g} on average)"
    say(f"model: {path}, trained on {classifier.dataset}{precision}", file=sys.stderr)


def show_rate(images: int, failed: int, seconds: float) -> None:
    """Print on standard error the number of images and the speed in images per second; nothing for a single image."""
    if images > 1:
        unreadable = f" ({failed} unreadable)" if failed else ""
        show(f"{images} images{unreadable}, {images / seconds:.1f} images/s", file=sys.stderr)
