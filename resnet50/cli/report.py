"""Printing the scores of a classifier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from resnet50._io.text import have, plural, printable
from resnet50.cli.console import say, show
from resnet50.cli.tables import show_table

if TYPE_CHECKING:
    from resnet50.metrics.cross_validation import CrossValidation
    from resnet50.metrics.scores import ClassScores, Report
    from resnet50.metrics.selective import SelectiveScores
    from resnet50.training.train import Run


def show_report(report: Report) -> None:
    """Print the scores, overall and by class."""
    low, high = report.interval
    say(
        f"{report.dataset}, {plural(report.images, 'image')}: accuracy {report.accuracy:.2%} "
        f"(95% interval {low:.1%} to {high:.1%}), loss {report.loss:.3f}"
    )
    over = f" (both over the {plural(report.scored_classes, 'class')} that {have(report.scored_classes)} test images)"
    over = over if report.scored_classes < len(report.classes) else ""
    top = "".join(f"top {k} {share:.1%}, " for k, share in report.top_k.items())
    say(
        f"{top}macro F1 {report.macro_f1:.1%}, balanced accuracy {report.balanced_accuracy:.1%}{over}, calibration "
        f"error {report.calibration_error:.1%} ({report.chance_error:.1%} by chance)"
    )
    scaling = report.temperature_scaling
    if scaling is not None:
        say(
            f"with a temperature of {scaling.temperature:.2f}, recommended by {scaling.images:,} held-out "
            f"images: calibration error {scaling.calibration_error:.1%}, loss {scaling.loss:.3f}"
        )
    if report.selective is not None:
        _show_selective(report.selective)
    _show_classes(report.classes)


def _show_selective(scores: SelectiveScores) -> None:
    refused = "" if scores.all.refused is None else f"; {scores.all.refused:.1%} of the images are refused"
    say(
        f"prediction sets at a coverage of {scores.coverage:.0%}: {scores.all.covered:.1%} hold the right class, "
        f"{scores.all.size:.2f} classes on average{refused}"
    )


def show_cross_validation(result: CrossValidation) -> None:
    """Print the scores of a cross-validation, overall and by class."""
    low, high = result.interval
    say(
        f"{result.dataset.name}, {plural(len(result.dataset), 'image')}: accuracy {result.accuracy:.2%} by "
        f"{result.folds}-fold cross-validation (95% interval {low:.1%} to {high:.1%})"
    )
    spread = result.spread_of_seeds
    seeds = "" if spread is None else f", over {len(result.repetitions)} seeds {spread:.1%}"
    say(f"standard deviation over the folds {result.spread:.1%}{seeds}", *result.remarks)
    _show_classes(result.classes)


def _show_classes(classes: Mapping[str, ClassScores]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table("class", box=None)
    for name in ("precision", "recall", "F1", "images"):
        table.add_column(name, justify="right")
    for name, scores in classes.items():
        shares = [f"{share:.1%}" if scores.support else "" for share in (scores.precision, scores.recall, scores.f1)]
        table.add_row(
            Text(printable(name)), *shares, str(scores.support)
        )  # Text, so that brackets in a name are no markup
    show_table(table)


def show_run(run: Run) -> None:
    """Print the scores of a training, and where its files are."""
    show_report(run.report)
    folder = run.folder
    report = (folder.page, folder.report, folder.history, folder.curves)
    for path in (folder.model, *report, folder.unreadable, folder.left_out, folder.transfer):
        if path.exists():
            show(path)
