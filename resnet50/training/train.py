"""Training, from a recipe and labeled images to a folder with a classifier, its curves and its report."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import keras

from resnet50._io.files import write_text
from resnet50.audit.check import Issue, check
from resnet50.audit.training_images import write_training_images
from resnet50.conventions import Conventions
from resnet50.data.batches import Batches
from resnet50.data.dataset import Dataset, DatasetSplits
from resnet50.data.mixing import Mixing
from resnet50.data.splitting import train_validation_split
from resnet50.datasets.source import DataSource
from resnet50.inference.classifier import Classifier
from resnet50.metrics.scores import Report
from resnet50.plots.save import save_figure
from resnet50.plots.training import draw_curves
from resnet50.reports.report import write_report
from resnet50.training.callbacks import (
    DrawEpoch,
    KeepBest,
    Progress,
    StopDivergence,
    ValidateAverage,
    WeightAverage,
    WriteHistory,
    averaged,
    check_callbacks,
    phase_callbacks,
)
from resnet50.training.checkpoint import Checkpoint, Position, read_position
from resnet50.training.fast_cpu.memory import keep_freed_memory
from resnet50.training.fast_cpu.precision import build_training_model, resolve_precision
from resnet50.training.network import build_network
from resnet50.training.optimizer import build_optimizer
from resnet50.training.phases import freeze
from resnet50.training.recipe import Phase, Recipe
from resnet50.training.run import RunDirectory, describe_environment, write_unreadable
from resnet50.weights.normalization import NORMALIZATIONS
from resnet50.weights.read import WeightsFile, read_weights
from resnet50.weights.transfer import TransferReport, load_weights


@dataclass(frozen=True)
class Run:
    """A finished training.

    Attributes:
        folder: Where everything is.
        classifier: The trained classifier.
        history: A row for each epoch, as in ``history.csv``.
        report: Scores on the test split.
        transfer: What pretrained weights gave the network, as in ``transfer.json``; None from scratch, and for a run
            that was resumed from a checkpoint.
    """

    folder: RunDirectory
    classifier: Classifier
    history: list[dict[str, float]]
    report: Report
    transfer: TransferReport | None = None


def train(
    recipe: Recipe,
    splits: DatasetSplits,
    *,
    out: str | os.PathLike[str],
    callbacks: Sequence[keras.callbacks.Callback] = (),
    progress: keras.callbacks.Callback | None = None,
    source: DataSource | None = None,
) -> Run:
    """Train a classifier by a recipe, and score it once on the test images.

    Args:
        recipe: Every number of the training.
        splits: Images to learn from and to score, RGB uint8 ``(n, side, side, 3)``. Where they have no validation
            part, the recipe's share is held out of those to learn from.
        out: Folder of the run; made here.
        callbacks: Callbacks of your own or Keras'; what they remember survives a resume. Each phase is a ``fit`` of its
            own: training begins and ends for them in each, and one that stops it ends the phase. A TensorBoard only
            shows: nothing of it is kept.
        progress: A callback that only shows how it goes; nothing of it is kept. A `Progress` is told of phases too.
        source: Where the images come from, stored in the run so that they can be loaded again.

    Returns:
        The finished run.

    Raises:
        ValueError: If there is a run in the folder already, the images or the pretrained weights do not fit the
            recipe, or a callback does not go with it; nothing is written then.
        FileNotFoundError: If there is no file of the pretrained weights.
        resnet50.training.callbacks.DivergenceError: If the loss is lost; the last good checkpoint stays.
    """
    folder = RunDirectory(Path(out))
    folder.check_new()  # before hours of work for nothing
    _check_fit(recipe, splits)
    check_callbacks(recipe, callbacks)
    learning, held_out = hold_out(recipe, splits)
    weights = read_weights(recipe.weights) if recipe.weights else None
    noted = _describe_weights(weights, recipe) if weights else None
    model = _build(recipe, len(splits["train"].class_names), noted)
    transfer = load_weights(model, weights) if weights else None
    environment = {
        **describe_environment(),
        "precision": resolve_precision(recipe.precision),
        "data": {
            "source": source.to_dict() if source else None,
            "dataset": splits["train"].name,
            "fingerprints": _fingerprints(splits),
        },
        "weights": noted,
    }
    folder.create(recipe, environment)
    if splits.unreadable:
        write_unreadable(folder.unreadable, splits.unreadable)
    issues = check(splits.by_name, splits.unreadable)
    begun = _Begun(folder, recipe, environment["precision"], splits, learning, held_out, model, transfer, issues)
    return _run(begun, callbacks, progress)


def resume(
    out: str | os.PathLike[str],
    splits: DatasetSplits,
    *,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    progress: keras.callbacks.Callback | None = None,
) -> Run:
    """Go on with a run that was stopped, however it was stopped.

    On the same machine, with the same number of threads, the trained weights are those of a run that was never
    stopped, bit for bit.

    Args:
        out: Folder of the run.
        splits: The same images.
        callbacks: The same callbacks, in the same order.
        progress: A callback that only shows how it goes.

    Returns:
        The finished run.

    Raises:
        FileNotFoundError: If there is no run in the folder.
        ValueError: If the images, the backend or, before the first checkpoint, the pretrained weights are not those
            of the run, or a callback does not go with its recipe.
    """
    folder = RunDirectory(Path(out))
    recipe, environment = folder.read()
    check_callbacks(recipe, callbacks)
    if _fingerprints(splits) != environment["data"]["fingerprints"]:
        raise ValueError(
            f"{folder.path}: expected the images that the run began with, found others (their SHA-256 differs); "
            "resume with the same data."
        )
    if keras.backend.backend() != environment["backend"]:
        raise ValueError(
            f"{folder.path}: the run began on the backend {environment['backend']}, this process has "
            f"{keras.backend.backend()}; set KERAS_BACKEND={environment['backend']}."
        )
    here = describe_environment()
    changed = [name for name in ("versions", "machine") if here[name] != environment[name]]
    if changed:
        warnings.warn(
            f"{folder.path}: {' and '.join(changed)} are no longer those that the run began with, so that its weights "
            "may differ from those of a run that was never stopped.",
            stacklevel=2,
        )
    folder.remove_leftovers()
    learning, held_out = hold_out(recipe, splits)
    noted, transfer = environment["weights"], None
    model = _build(recipe, len(splits["train"].class_names), noted)
    if recipe.weights and not folder.checkpoint.exists():
        weights = read_weights(recipe.weights)
        if _describe_weights(weights, recipe) != noted:
            raise ValueError(
                f"{recipe.weights}: expected the pretrained weights that the run began with, found others (their SHA-256 "
                "differs); put the same file there, or begin a new run."
            )
        transfer = load_weights(model, weights)
    issues = check(splits.by_name, splits.unreadable)
    begun = _Begun(folder, recipe, environment["precision"], splits, learning, held_out, model, transfer, issues)
    return _run(begun, callbacks, progress)


@dataclass(frozen=True)
class _Begun:
    """A run about to train, new or resumed."""

    folder: RunDirectory
    recipe: Recipe
    precision: str
    splits: DatasetSplits
    learning: Dataset
    held_out: Dataset | None
    model: keras.Model
    transfer: TransferReport | None
    issues: tuple[Issue, ...]


def _build(recipe: Recipe, classes: int, noted: Mapping[str, Any] | None) -> keras.Model:
    """Build the network, in the variant that pretrained weights need, if any."""
    if noted is None:
        return build_network(recipe, classes)
    conventions = Conventions(**noted["conventions"])
    return build_network(recipe, classes, conventions=conventions, normalization=noted["normalization"])


def _describe_weights(weights: WeightsFile, recipe: Recipe) -> dict[str, Any]:
    """Return what a run notes of its pretrained weights: enough to build their network, and to know them again.

    Raises:
        ValueError: If neither the file nor the recipe tells how pixels are normalized.
    """
    normalization = recipe.normalization or weights.normalization
    if not recipe.normalization and normalization not in NORMALIZATIONS:
        raise ValueError(
            f"{weights.origin}: does not tell how its network normalizes pixels; set normalization to one of "
            f"{', '.join(NORMALIZATIONS)}."
        )
    sha256 = hashlib.sha256()
    for name in sorted(weights.arrays):
        for array in weights.arrays[name]:
            sha256.update(f"{name} {array.shape} {array.dtype}".encode())
            sha256.update(array.tobytes())
    return {
        "origin": weights.origin,
        "conventions": asdict(weights.conventions),
        "normalization": normalization,
        "sha256": sha256.hexdigest(),
    }


def _run(
    begun: _Begun, callbacks: Sequence[keras.callbacks.Callback], progress: keras.callbacks.Callback | None
) -> Run:
    folder, recipe, splits, model = begun.folder, begun.recipe, begun.splits, begun.model
    training, test = splits["train"], splits["test"]
    given = {"train": begun.learning, "validation": begun.held_out, "test": test}
    write_training_images(folder.images, {split: dataset for split, dataset in given.items() if dataset is not None})
    if begun.transfer:
        write_text(folder.transfer, begun.transfer.to_json())
    if isinstance(progress, Progress):
        progress.begin_run(begun.transfer, begun.issues)
    keep_freed_memory()
    training_model = build_training_model(model, begun.precision)

    def classifier(metrics: dict[str, float]) -> Classifier:
        """Bring what the twin has learned back into the plain model."""
        with averaged(training_model):
            model.set_weights(training_model.get_weights())
        return Classifier(
            model=model,
            class_names=training.class_names,
            dataset=training.name,
            fingerprint=training.fingerprint,
            recipe=asdict(recipe),
            metrics=metrics,
        )

    def take_best(logs: dict[str, float]) -> Callable[[], None]:
        return partial(classifier(_floats(logs)).save, folder.best)

    history = WriteHistory(folder.history)
    best = KeepBest(take_best) if begun.held_out else None
    _fit(training_model, begun, history, best, callbacks, progress)
    trained = Classifier.load(folder.best) if recipe.restore_best else classifier({})
    trained.save(folder.model)  # whatever becomes of its report
    report = write_report(
        folder.path, trained, test, training=begun.learning, validation=begun.held_out, issues=begun.issues
    )
    trained = replace(trained, metrics={"accuracy": report.accuracy, "loss": report.loss})
    trained.save(folder.model)
    title = f"{training.name}, seed {recipe.seed}"
    save_figure(draw_curves(_columns(history.rows), title=title), folder.curves)
    return Run(folder, classifier=trained, history=history.rows, report=report, transfer=begun.transfer)


def _fit(
    training_model: keras.Model,
    begun: _Begun,
    history: WriteHistory,
    best: KeepBest | None,
    callbacks: Sequence[keras.callbacks.Callback],
    progress: keras.callbacks.Callback | None,
) -> None:
    """Train the twin phase by phase, from wherever the run stands."""
    folder, recipe, learning, held_out = begun.folder, begun.recipe, begun.learning, begun.held_out
    batches = Batches(
        learning,
        recipe.batch_size,
        shuffle=True,
        augmentation=recipe.augmentation,
        mixing=Mixing(recipe.mixup, recipe.cutmix) if recipe.mixup or recipe.cutmix else None,
        balance=recipe.class_weight == "balanced",
        seed=recipe.seed,
    )
    shown = [callback for callback in callbacks if isinstance(callback, keras.callbacks.TensorBoard)]
    remembered = [callback for callback in callbacks if callback not in shown]
    position = read_position(folder.checkpoint)
    while position.phase < len(recipe.phases):
        phase = recipe.phases[position.phase]
        end = position.began + phase.epochs
        freeze(training_model, phase)
        training_model.compile(
            optimizer=build_optimizer(recipe, phase, training_model, len(batches)),
            loss=keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing),
            metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],  # by its name, the step is traced twice
        )
        history.phase = position.phase + 1 if len(recipe.phases) > 1 else None
        average = [WeightAverage(recipe.swa_epochs, end)] if phase is recipe.last else []
        keeping = [history, *average, *([best] if best else []), *remembered, *phase_callbacks(phase)]
        checkpoint = Checkpoint(
            folder.checkpoint,
            position=position,
            every=recipe.checkpoint_epochs,
            epochs=end,
            others=keeping,
            before=best.write if best else None,
        )
        if isinstance(progress, Progress):
            progress.begin_phase(position.phase, position.began)
        training_model.fit(
            batches,
            validation_data=Batches(held_out, recipe.batch_size) if held_out else None,
            initial_epoch=checkpoint.restore(training_model),
            epochs=end,
            shuffle=False,  # Batches shuffles, by the recipe's seed
            verbose=0,
            callbacks=[
                DrawEpoch(batches),
                *([ValidateAverage()] if recipe.ema else []),
                StopDivergence(len(learning.class_names), advice=_advice(phase, folder)),
                *keeping,
                *shown,
                *([progress] if progress else []),
                checkpoint,
            ],
        )
        position = Position(position.phase + 1, began=len(history.rows))


def hold_out(recipe: Recipe, splits: DatasetSplits) -> tuple[Dataset, Dataset | None]:
    """Return what to learn from, and what to score after every epoch, if anything.

    Raises:
        ValueError: If the recipe's share cannot be held out.
    """
    if splits.validation is not None or not recipe.validation_split:
        return splits["train"], splits.validation
    try:
        return train_validation_split(splits["train"], recipe.validation_split, seed=recipe.seed)
    except ValueError as error:
        raise ValueError(
            f"no images can be held out for validation: {error} With validation_split 0 none are."
        ) from error


def _fingerprints(splits: DatasetSplits) -> dict[str, str]:
    return {name: dataset.fingerprint for name, dataset in splits.by_name.items()}


def _check_fit(recipe: Recipe, splits: DatasetSplits) -> None:
    expected = splits["train"].class_names
    for name, dataset in splits.by_name.items():
        if dataset.images.shape[1:3] != (recipe.image_size, recipe.image_size):
            raise ValueError(
                f"{dataset.name}: expected images of {recipe.image_size} x {recipe.image_size} pixels for the recipe "
                f"{recipe.name}, got {dataset.images.shape[2]} x {dataset.images.shape[1]}; set side to theirs."
            )
        if not len(dataset):
            raise ValueError(f"{dataset.name}: there are no images in a split.")
        if dataset.class_names != expected:
            raise ValueError(
                f"expected the same classes for training and {name}, got {', '.join(splits['train'].class_names)} and "
                f"{', '.join(dataset.class_names)}."
            )


def _advice(phase: Phase, folder: RunDirectory) -> str:
    return (
        f"Lower the learning rate (it was {phase.learning_rate:g}) or lengthen the warm-up "
        f"({phase.warmup_epochs:g} epochs) in a new run; the last good state, if any, is in {folder.checkpoint}."
    )


def _columns(rows: list[dict[str, float]]) -> dict[str, list[float]]:
    return {name: [row.get(name, float("nan")) for row in rows] for name in rows[-1]}


def _floats(logs: dict[str, float]) -> dict[str, float]:
    return {name: float(value) for name, value in logs.items()}
