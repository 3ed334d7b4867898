"""``resnet50 evaluate`` with several runs, or with changes of each image."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from resnet50.cli.console import say, show, show_json, step
from resnet50.cli.issues import say_issues
from resnet50.cli.model import MODEL_HELP
from resnet50.cli.read_options import option
from resnet50.inference.locate import RUNS, latest_run


def add_models(parser: argparse.ArgumentParser) -> None:
    """Add the names of the models, and what is averaged."""
    parser.add_argument(
        "model",
        nargs="*",
        metavar="MODEL_OR_RUN",
        help=f"{MODEL_HELP} Of several, the probabilities are averaged (an ensemble). Default: the latest run in "
        f"{RUNS}/.",
    )
    parser.add_argument(
        "--tta",
        action="store_true",
        help="Average over the mirror image and shifts, as far as the training changed its images so (test-time "
        "augmentation).",
    )


def find_models(named: Sequence[str]) -> Sequence[str]:
    """Return the names of the models, or the latest run, which is printed on standard error."""
    if named:
        return named
    latest = str(latest_run())
    say(f"model: {latest}, the latest run", file=sys.stderr)
    return [latest]


def evaluate_together(options: argparse.Namespace, names: Sequence[str]) -> int:
    """Score averaged predictions, and print what averaging gains; ``names`` are the given options of reading."""
    unused = [*map(option, names), *(["--calibrate"] if options.calibrate else [])]
    if options.precision != "fp32":
        unused.append("--precision")
    if unused:
        raise ValueError(
            f"expected only --data, --out and --json with averaged predictions, got {', '.join(unused)}; leave it out."
        )

    from resnet50.comparison.averaging import evaluate_averaged

    out = options.out or "averaged-report"
    with step("evaluating") as progress:
        result = evaluate_averaged(options.model, options.data, out=out, tta=options.tta, progress=progress)
    status = say_issues(result.evaluation.warnings)
    if options.json:
        show_json(result.to_json())
        return status
    from resnet50.cli.report import show_report

    show_report(result.evaluation.report)
    if result.evaluation.report.selective_reason:
        say(result.evaluation.report.selective_reason)
    difference, (low, high) = result.difference, result.difference.interval
    alone = result.accuracies
    mean = f", {sum(alone) / len(alone):.1%} on average" if len(alone) > 1 else ""
    say(
        f"alone: {', '.join(f'{share:.1%}' for share in alone)}{mean}; averaging {result.passes} predictions of an "
        f"image gains {100 * difference.difference:+.1f} points on that (95% interval {100 * low:+.1f} to "
        f"{100 * high:+.1f}; p {difference.p_in_words}) and takes {result.passes} times as long"
    )
    show(result.evaluation.folder / "report.html")
    return status
