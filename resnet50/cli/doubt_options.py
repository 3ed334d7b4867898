"""Options for when a classifier names several classes, or none; shared by the commands that classify."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, TypedDict

from resnet50.cli.console import say
from resnet50.uncertainty.shares import COVERAGE, REFUSE

if TYPE_CHECKING:
    from resnet50.inference.classifier import Classifier


class Shares(TypedDict):
    """The shares of `resnet50.predict`; None for what is off."""

    coverage: float | None
    refuse: float | None


OFF = "off"
"""Value of an option that leaves out what it is about."""


def add_doubt_options(parser: argparse.ArgumentParser) -> None:
    """Add the coverage of prediction sets and the share that is refused, which `find_shares` takes."""
    parser.add_argument(
        "--coverage",
        type=_share,
        metavar="SHARE",
        help="Name several classes where one is not sure enough: the right one is among them for this share of images "
        f"like the training's, 0..1; {OFF} for no sets. Default: {COVERAGE:g}, where the model has thresholds.",
    )
    parser.add_argument(
        "--refuse",
        type=_share,
        metavar="SHARE",
        help="Answer 'none of these' for images unlike all training images. Of images like the training's, this share "
        f"is refused too, 0..1; {OFF} to refuse none. Default: {REFUSE:g}, where the model has thresholds.",
    )


def find_shares(options: argparse.Namespace, classifier: Classifier) -> Shares:
    """Return ``coverage`` and ``refuse`` as `resnet50.predict` takes them, and say what cannot be given.

    Raises:
        ValueError: If an option asks for what the classifier has no thresholds for. A default does not ask.
    """
    thresholds = classifier.thresholds
    coverage, refuse = _value(options.coverage, COVERAGE), _value(options.refuse, REFUSE)
    problem = classifier.why_none(coverage, refuse, prefix="--")
    asked = {name: value for name in ("coverage", "refuse") if isinstance(value := getattr(options, name), float)}
    if thresholds is None and asked:
        without = (
            "expected a model with thresholds, got one without; report.html of its run says why. Train it anew, or "
            "leave the option out."
        )
        raise ValueError(f"--{next(iter(asked))}: {problem or without}")
    if thresholds is not None and thresholds.why_none(
        asked.get("coverage"), asked.get("refuse"), classes=len(classifier.class_names)
    ):
        raise ValueError(problem)
    if problem:
        say(problem, file=sys.stderr)
    return {"coverage": coverage, "refuse": refuse}


def _value(given: float | str | None, default: float) -> float | None:
    if given is None:
        return default
    return given if isinstance(given, float) else None


def _share(text: str) -> float | str:
    if text == OFF:
        return OFF
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not 0 < share < 1:
        raise argparse.ArgumentTypeError(f"expected a share above 0 and below 1, or {OFF}, got {text!r}")
    return share
