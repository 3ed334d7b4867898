"""Scoring a run or a model on a source of images, with a report.

Images that the classifier was trained on are never scored as if they were new:

- Where the source is the dataset of the training (it is by default), its test split is scored.
- Of another source, the test split is scored, or the validation split, or all of it. Exact copies of training images
  are reported as an error; where the training images are not known, a warning says so.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from resnet50._io.fetch import Progress
from resnet50._io.files import check_writable
from resnet50._io.text import plural
from resnet50.audit.check import find_issues
from resnet50.audit.issue import Issue
from resnet50.data.options import ReadOptions
from resnet50.datasets.source import DataSource
from resnet50.evaluation.scored_images import ScoredImages, Source, Trained, find_scored_images
from resnet50.evaluation.temperature import check_calibrated_name, check_validation_images, write_calibrated
from resnet50.inference.classifier import Classifier
from resnet50.inference.locate import MODEL, Located, locate
from resnet50.metrics.scores import Report
from resnet50.reports.training_summary import TrainingSummary
from resnet50.training.history import read_history
from resnet50.training.run import RunDirectory
from resnet50.training.summary import summarize_training

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Evaluation:
    """A scored classifier.

    Attributes:
        report: The scores, as in ``report.json``.
        folder: Folder of the report.
        classifier: The scored classifier, or the calibrated one where one was written.
        warnings: What makes the scores unreliable or incomplete; they are among the report's issues too.
    """

    report: Report
    folder: Path
    classifier: Classifier
    warnings: tuple[Issue, ...] = ()


def evaluate(
    model: str | os.PathLike[str],
    source: Source | None = None,
    *,
    options: ReadOptions | None = None,
    out: str | os.PathLike[str] | None = None,
    calibrate: str | os.PathLike[str] | None = None,
    precision: str = "fp32",
    progress: Progress | None = None,
) -> Evaluation:
    """Score a run or a trained classifier on images that are new to it, and write a report.

    Args:
        model: Folder of a run, a ``.keras`` file, or the folder of an export.
        source: Folder, CSV file or h5 file of images, or a `DataSource`; None for the dataset of the training.
        options: How a source that is given by its path is read; an option at its default is as in the training.
        out: Folder of ``report.html``, ``report.json`` and the figures, replacing those of an earlier report;
            ``evaluation`` in the run's folder by default, or ``NAME-report`` beside a file ``NAME.keras``.
        calibrate: New ``.keras`` file for the classifier with its probabilities scaled by the temperature that the
            report recommends by the images that the run held out for validation.
        precision: Precision in which a ``.keras`` file answers, as in `Classifier.load`; int8 is calibrated as the last
            time or, if there was none, on images of the training.
        progress: Called as images are read and compared, with the number done and the total.

    Returns:
        The scores, the folder of the report, the classifier and warnings.

    Raises:
        FileNotFoundError: If the model or the images are not there.
        ImportError: If the runtime of an export or of the precision is not installed.
        PermissionError: If the report cannot be written.
        ValueError: If the images do not fit the classifier or are not known, the run's history is damaged, or no
            temperature is recommended to ``calibrate`` with.
    """
    located = check_request(model, source, options=options, calibrate=calibrate, precision=precision)
    folder = Path(out) if out is not None else _report_folder(located)
    check_writable(folder / "report.html")
    trained = open_trained(located, precision, progress)
    images = find_scored_images(trained, source, options, progress)
    if calibrate is not None and trained.classifier.thresholds is None:
        check_validation_images(images, model)
    _log.info("comparing images")
    found = find_issues(images.audited, progress=progress)
    issues = (*images.issues, *found)
    report = _score(folder, trained, images, issues, os.fspath(model))
    classifier = trained.classifier
    if calibrate is not None:
        classifier = write_calibrated(classifier, report, calibrate, model=model, folder=folder)
    absent = (issue for issue in found if issue.kind == "missing-class")
    return Evaluation(report, folder, classifier, (*images.issues, *absent))


def check_request(
    model: str | os.PathLike[str],
    source: Source | None = None,
    *,
    options: ReadOptions | None = None,
    calibrate: str | os.PathLike[str] | None = None,
    precision: str = "fp32",
) -> Located:
    """Refuse arguments of `evaluate` that cannot work, before anything is opened.

    Args:
        model: As in `evaluate`.
        source: As in `evaluate`.
        options: As in `evaluate`.
        calibrate: As in `evaluate`.
        precision: As in `evaluate`.

    Returns:
        Where the model is.

    Raises:
        FileNotFoundError: If the model is not there.
        ValueError: If the arguments do not go together.
    """
    if options is not None and source is None:
        raise ValueError("expected a source that the options apply to, got none; give both or neither.")
    if options is not None and isinstance(source, DataSource):
        raise ValueError("expected options only with a path, got them with a DataSource; set its own options instead.")
    located = locate(model)
    if calibrate is not None:
        if located.run is None:
            raise ValueError(
                f"{model}: expected the folder of a run for --calibrate, got a model outside of one; name its run."
            )
        if precision != "fp32":
            raise ValueError(f"expected the precision fp32 with --calibrate, got {precision}; leave one of them out.")
        check_calibrated_name(calibrate)
    return located


def open_trained(located: Located, precision: str, progress: Progress | None) -> Trained:
    """Open a classifier, with its run if it has one.

    Args:
        located: Where it is.
        precision: As in `evaluate`.
        progress: As in `evaluate`.
    """
    run = RunDirectory(located.run) if located.run is not None else None
    record = run.read() if run is not None else None
    _log.info("opening the model")
    classifier = Classifier.load(located.model, precision=precision, progress=progress)
    return Trained(located.model, classifier, run, record)


def _report_folder(located: Located) -> Path:
    if located.run is not None and located.model.name == MODEL:
        return located.model.with_name("evaluation")
    return located.model.with_name(f"{located.model.stem}-report")


def _score(folder: Path, trained: Trained, images: ScoredImages, issues: tuple[Issue, ...], model: str) -> Report:
    from resnet50.reports.report import write_report  # it loads matplotlib, which the checks before it do without

    _log.info("scoring %s and writing the report", plural(len(images.test), "image"))
    return write_report(
        folder,
        trained.classifier,
        images.splits,
        issues=issues,
        training=_summarize(trained, model),
        source=images.source,
    )


def _summarize(trained: Trained, model: str) -> TrainingSummary:
    """Return the training as its run recorded it, or as the classifier did."""
    if trained.run is None or trained.record is None:
        return TrainingSummary(trained.classifier.dataset, trained.classifier.recipe, model=model)
    return summarize_training(trained.record, read_history(trained.run.history), model=model)
