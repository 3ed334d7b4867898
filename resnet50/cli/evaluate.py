"""``resnet50 evaluate``."""

from __future__ import annotations

import argparse

from resnet50.cli import read_options
from resnet50.cli.averaged import add_models, evaluate_together, find_models
from resnet50.cli.console import say, show, show_json, step
from resnet50.cli.issues import say_issues
from resnet50.cli.model import add_precision_option
from resnet50.cli.parser import examples


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.epilog = examples(
        "resnet50 evaluate",
        "resnet50 evaluate runs/photos-20260102-030405",
        "resnet50 evaluate model.keras --data new_photos",
        "resnet50 evaluate runs/photos-20260102-030405 --calibrate calibrated.keras",
        "resnet50 evaluate runs/photos-0 runs/photos-1 runs/photos-2",
    )
    add_models(parser)
    parser.add_argument(
        "--data",
        metavar="PATH",
        help="Folder, CSV file or h5 file of images: its test split is scored, or all of it if it has no splits. "
        "Default: the dataset of the training, whose test split is scored.",
    )
    add_precision_option(parser)
    read_options.add_read_options(parser, *read_options.OPTIONS)
    parser.add_argument(
        "--out",
        metavar="DIR",
        help="Folder for report.html, report.json and the figures; an earlier report is replaced. "
        "Default: RUN/evaluation, or MODEL-report beside MODEL.keras; averaged-report for averaged predictions.",
    )
    parser.add_argument(
        "--calibrate",
        metavar="OUT.keras",
        help="Also write the classifier with its probabilities scaled by a temperature, fitted on the validation "
        "images of the run, into a new file. Default: none.",
    )
    parser.add_argument("--json", action="store_true", help="Print the report as JSON.")


def run(options: argparse.Namespace) -> int:
    """Score a classifier, write the report and print the scores."""
    names = list(read_options.given(options))
    if names and options.data is None:
        raise ValueError(
            f"{', '.join(map(read_options.option, names))}: expected --data, which they apply to, got none; give it."
        )
    chosen = read_options.read_options(options) if names else None
    options.model = find_models(options.model)
    if len(options.model) > 1 or options.tta:
        return evaluate_together(options, names)
    (model,) = options.model

    from resnet50.evaluation.evaluate import check_request, evaluate

    check_request(model, options.data, options=chosen, calibrate=options.calibrate, precision=options.precision)
    with step("evaluating") as progress:
        result = evaluate(
            model,
            options.data,
            options=chosen,
            out=options.out,
            calibrate=options.calibrate,
            precision=options.precision,
            progress=progress,
        )
    status = say_issues(result.warnings)
    if options.json:
        show_json(result.report.to_json())
        return status

    from resnet50.cli.report import show_report

    show_report(result.report)
    if result.report.selective_reason:
        say(result.report.selective_reason)
    show(result.folder / "report.html")
    if options.calibrate:
        show(options.calibrate)
    return status
