"""Training, from a recipe and labeled images to a run directory with a classifier, its history and its report."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import keras

from resnet50._io.files import DISK_FULL, write_text
from resnet50._io.interruption import exit_on_signals
from resnet50._io.keras_settings import keras_defaults
from resnet50.audit.training_images import write_training_images
from resnet50.data.splits import DatasetSplits
from resnet50.datasets.source import DataSource
from resnet50.inference.classifier import Classifier
from resnet50.inference.locate import resume_command
from resnet50.inference.recorded_images import load_recorded, training_source
from resnet50.metrics.scores import Report, score
from resnet50.reports.report import write_report
from resnet50.training.callbacks import check_callbacks
from resnet50.training.checks import check_resumable, check_splits
from resnet50.training.devices import find_share, own_folder
from resnet50.training.extension import extend
from resnet50.training.fitting import fit
from resnet50.training.out_of_memory import memory_explained
from resnet50.training.preparation import PreparedRun, prepare_new, prepare_resumed
from resnet50.training.progress import Progress, opened
from resnet50.training.recipe import Recipe
from resnet50.training.record import RunRecord
from resnet50.training.run import RunDirectory
from resnet50.training.scoring import score_splits
from resnet50.training.summary import summarize_training
from resnet50.training.thresholds import find_thresholds
from resnet50.weights.transfer import TransferReport


@dataclass(frozen=True)
class Run:
    """A finished training.

    Attributes:
        folder: The run directory.
        classifier: The trained classifier.
        history: A row for each epoch, as in ``history.csv``.
        report: Scores on the test split.
        transfer: The report on pretrained weights, as in ``transfer.json``; None from scratch, and for a run that was
            resumed from a checkpoint.
    """

    folder: RunDirectory
    classifier: Classifier
    history: list[dict[str, float]]
    report: Report
    transfer: TransferReport | None = None


@keras_defaults()
def train(
    recipe: Recipe,
    splits: DatasetSplits,
    *,
    out: str | os.PathLike[str],
    source: DataSource | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    progress: bool | Progress = True,
) -> Run:
    """Train a classifier by a recipe, and score it once on the test split.

    If it is interrupted (by KeyboardInterrupt, SIGTERM, a closed terminal or an error), the state after the last
    finished epoch is in the directory, for `resume`.

    Args:
        recipe: Every number of the training.
        splits: Train and test split, RGB uint8 ``(n, image_size, image_size, 3)``. Without a validation split, the
            recipe's share of the train split is held out.
        out: Run directory; created here.
        source: Where the images come from, recorded in the run so that they can be loaded again.
        callbacks: Keras' callbacks or your own; a resumed run restores their state. Each phase is a ``fit`` of its own:
            training begins and ends for them in each, and one that stops it ends the phase. Where a phase trains on
            stored features, ``model`` is the part of the network above them; a linear probe calls no callback. The
            state of a TensorBoard is not stored.
        progress: True shows a table of epochs in a terminal or a notebook, False shows nothing; a `Progress` of
            your own replaces the table.

    Returns:
        The finished run.

    Raises:
        ValueError: If there is a run in the directory already, the images or the pretrained weights do not fit the
            recipe, or a callback cannot work with it; nothing is written then.
        FileNotFoundError: If there is no file of the pretrained weights.
        resnet50.training.divergence.DivergenceError: If the training diverges; the last good checkpoint remains.
        MemoryError: If memory runs out, whichever error the backend raises.
    """
    directory, share = RunDirectory(Path(out)), find_share()
    with opened(progress if share.rank == 0 else False, recipe.phases) as shown:
        if share.rank:
            directory.check_absent()
        else:
            directory.check_new()  # before hours of work for nothing
        check_splits(recipe, splits)
        check_callbacks(recipe, callbacks)
        with own_folder(directory.path, share) as folder:
            shown.begin_step("building the network and comparing images")
            run = prepare_new(RunDirectory(folder), recipe.change(fit=splits.fit), splits, source, share)
            with run.directory.locked():
                trained = _train(run, callbacks, shown)
        return replace(trained, folder=directory)


@keras_defaults()
def resume(
    out: str | os.PathLike[str],
    splits: DatasetSplits | None = None,
    *,
    epochs: int | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    progress: bool | Progress = True,
) -> Run:
    """Resume an interrupted run, or train a finished one on.

    On the same machine, with the same number of threads, the trained weights are those of an uninterrupted run, bit for
    bit.

    Args:
        out: Run directory.
        splits: The same images; None loads them from the source that the run recorded.
        epochs: Train a finished run on until it has this many epochs in all, in a further phase like its last
            (`Recipe.extended`), from the weights that it ended with. None for the epochs of its recipe.
        callbacks: The same callbacks, in the same order.
        progress: As in `train`.

    Returns:
        The finished run.

    Raises:
        FileNotFoundError: If there is no run in the directory, or its images are no longer where they were.
        ValueError: If the images, the backend or, before the first checkpoint, the pretrained weights are not those
            of the run, a callback cannot work with its recipe, another process trains the run, or it is to be trained
            on and is not finished or has these epochs already.
    """
    share = find_share()
    with own_folder(Path(out), share) as folder:
        directory = RunDirectory(folder)
        record = directory.read()
        if epochs is not None:
            record = extend(directory, record, epochs)
        with directory.locked(), opened(progress if share.rank == 0 else False, record.recipe.phases) as shown:
            check_callbacks(record.recipe, callbacks)
            if splits is None:
                shown.begin_step("reading images")
                splits = _load_splits(directory, record)
            check_resumable(directory, record, splits, share.devices)
            shown.begin_step("building the network and comparing images")
            run = prepare_resumed(directory, record, splits, share)
            if epochs is not None:
                write_text(directory.recipe, record.recipe.to_json())
            trained = _train(run, callbacks, shown)
    return replace(trained, folder=RunDirectory(Path(out)))


def _load_splits(directory: RunDirectory, record: RunRecord) -> DatasetSplits:
    source = training_source(record.recipe.name, record.source)
    if source is None:
        raise FileNotFoundError(
            f"{directory.path}: expected a record of where the run's images are, got none; pass splits to resume."
        )
    return load_recorded(source, record.recipe.image_size, fit=record.recipe.fit)


@exit_on_signals()
def _train(run: PreparedRun, callbacks: Sequence[keras.callbacks.Callback], progress: Progress) -> Run:
    """Train a prepared run, and write everything into its directory."""
    directory = run.directory
    with _full_disk_reported(directory):
        return _train_and_write(run, callbacks, progress)


def _train_and_write(run: PreparedRun, callbacks: Sequence[keras.callbacks.Callback], progress: Progress) -> Run:
    directory = run.directory
    write_training_images(directory.images, run.splits.by_name)
    if run.transfer:
        write_text(directory.transfer, run.transfer.to_json())
    progress.begin_run(run.transfer, run.issues)
    with memory_explained(run.record.recipe, directory.path):
        fitted = fit(run, callbacks, progress)
    with progress.counted("fitting thresholds") as count:
        thresholds, reason = find_thresholds(run, fitted, progress=count)
    classifier = fitted.classifier.refitted(thresholds)
    if missing := reason or classifier.why_none(prefix="--"):
        progress.without_thresholds(missing)
    progress.begin_step("scoring the test images")
    scored = score_splits(classifier, fitted.frozen, run.splits)
    scores = score(scored.probabilities["test"], run.splits["test"])
    classifier = replace(classifier, metrics={"accuracy": scores.accuracy, "loss": scores.loss})
    classifier.save(directory.model)  # before the report, which may fail
    progress.begin_step("writing the report")
    report = write_report(
        directory.path,
        classifier,
        run.splits,
        issues=run.issues,
        training=summarize_training(run.record, fitted.history, model=directory.path),
        source=run.record.source,
        scored=scored,
        no_thresholds=reason,
    )
    return Run(directory, classifier=classifier, history=fitted.history, report=report, transfer=run.transfer)


@contextmanager
def _full_disk_reported(directory: RunDirectory) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        raise OSError(
            f"{directory.path}: expected room on the disk for the run, got none ({os.strerror(error.errno or 0)}); "
            f"free some, then resume it: {resume_command(directory.path)}"
        ) from error
