"""Training, from a recipe and two splits to a folder with a classifier, its curves and its report."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import keras
import numpy as np

from resnet50.classifier import Classifier
from resnet50.data.batches import Batches
from resnet50.data.split import Split
from resnet50.data.validation import train_validation_split
from resnet50.evaluation.report import Report, score
from resnet50.figures.save import save_figure
from resnet50.figures.training import draw_confusion, draw_curves
from resnet50.model import STAGES, Stage, build_resnet50
from resnet50.training.callbacks import AverageEpochs, DrawEpoch, KeepBest, StopDivergence, WriteHistory
from resnet50.training.checkpoint import Checkpoint
from resnet50.training.precision import resolve_precision, training_twin
from resnet50.training.recipe import Recipe
from resnet50.training.run import RunFolder, describe_environment, write_text


@dataclass(frozen=True)
class Run:
    """A finished training.

    Attributes:
        folder: Where everything is.
        classifier: The trained classifier.
        history: A row for each epoch, as in ``history.csv``.
        report: Scores on the test split.
    """

    folder: RunFolder
    classifier: Classifier
    history: list[dict[str, float]]
    report: Report


def train(
    recipe: Recipe,
    training: Split,
    test: Split,
    *,
    out: str | os.PathLike[str],
    callbacks: Sequence[keras.callbacks.Callback] = (),
    progress: keras.callbacks.Callback | None = None,
    data: str | os.PathLike[str] | None = None,
) -> Run:
    """Train a classifier by a recipe, and score it once on the test split.

    Args:
        recipe: Every number of the training.
        training: Pictures to learn from, RGB uint8 ``(n, side, side, 3)``; a share is held out if the recipe says so.
        test: Pictures that are looked at once, at the end.
        out: Folder of the run; made here.
        callbacks: Callbacks of your own or Keras'; what they remember survives a resume.
        progress: A callback that only shows how it goes; nothing of it is kept.
        data: Where the pictures came from, noted in the run so that the command line can resume it.

    Returns:
        The finished run.

    Raises:
        ValueError: If there is a run in the folder already, or the pictures do not fit the recipe.
        resnet50.training.callbacks.DivergenceError: If the loss is lost; the last good checkpoint stays.
    """
    folder = RunFolder(Path(out))
    _check_fit(recipe, training, test)
    model = _build(recipe, len(training.class_names))
    environment = {
        **describe_environment(),
        "precision": resolve_precision(recipe.precision),
        "data": {
            "dataset": training.dataset,
            "path": None if data is None else str(Path(data).absolute()),
            "fingerprint": training.fingerprint,
            "test_fingerprint": test.fingerprint,
        },
    }
    folder.create(recipe, environment)
    return _run(model, recipe, environment["precision"], training, test, folder, callbacks, progress)


def resume(
    out: str | os.PathLike[str],
    training: Split,
    test: Split,
    *,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    progress: keras.callbacks.Callback | None = None,
) -> Run:
    """Go on with a run that was stopped, however it was stopped.

    On the same machine, with the same number of threads, the trained weights are those of a run that was never
    stopped, bit for bit.

    Args:
        out: Folder of the run.
        training: The same training pictures.
        test: The same test pictures.
        callbacks: The same callbacks, in the same order.
        progress: A callback that only shows how it goes.

    Returns:
        The finished run.

    Raises:
        FileNotFoundError: If there is no run in the folder.
        ValueError: If the pictures or the backend are not those of the run.
    """
    folder = RunFolder(Path(out))
    recipe, environment = folder.read()
    begun_with = (environment["data"]["fingerprint"], environment["data"]["test_fingerprint"])
    if (training.fingerprint, test.fingerprint) != begun_with:
        raise ValueError(
            f"{folder.path}: needed the pictures that the run began with, found others (their SHA-256 differs); "
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
    model = _build(recipe, len(training.class_names))
    return _run(model, recipe, environment["precision"], training, test, folder, callbacks, progress)


def _build(recipe: Recipe, classes: int) -> keras.Model:
    keras.utils.set_random_seed(recipe.seed)
    return build_resnet50(
        classes,
        input_shape=(recipe.side, recipe.side, 3),
        head=recipe.head,
        stem=recipe.stem,
        stages=[Stage(*row) for row in recipe.stages] if recipe.stages else STAGES,
    )


def _run(
    model: keras.Model,
    recipe: Recipe,
    precision: str,
    training: Split,
    test: Split,
    folder: RunFolder,
    callbacks: Sequence[keras.callbacks.Callback],
    progress: keras.callbacks.Callback | None,
) -> Run:
    twin = training_twin(model, precision)
    learning, held_out = (
        train_validation_split(training, recipe.validation, seed=recipe.seed) if recipe.validation else (training, None)
    )
    batches = Batches(learning, recipe.batch_size, shuffle=True, augmentation=recipe.augmentation, seed=recipe.seed)
    twin.compile(
        optimizer=_optimizer(recipe, len(batches)),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing),
        metrics=["accuracy"],
    )

    def classifier(metrics: dict[str, float]) -> Classifier:
        """Bring what the twin has learned back into the plain model."""
        model.set_weights(twin.get_weights())
        return Classifier(
            model=model,
            class_names=training.class_names,
            dataset=training.dataset,
            fingerprint=training.fingerprint,
            recipe=asdict(recipe),
            metrics=metrics,
        )

    history = WriteHistory(folder.history)
    best = [KeepBest(lambda logs: classifier(_floats(logs)).save(folder.best))] if held_out else []
    keeping = [history, AverageEpochs(recipe.average_epochs, recipe.epochs), *best, *callbacks]
    checkpoint = Checkpoint(folder.checkpoint, every=recipe.checkpoint_epochs, epochs=recipe.epochs, others=keeping)
    twin.fit(
        batches,
        validation_data=Batches(held_out, recipe.batch_size) if held_out else None,
        initial_epoch=checkpoint.restore(twin),
        epochs=recipe.epochs,
        shuffle=False,  # Batches shuffles, by the recipe's seed
        verbose=0,
        callbacks=[
            DrawEpoch(batches),
            StopDivergence(len(training.class_names), advice=_advice(recipe, folder)),
            *keeping,
            *([progress] if progress else []),
            checkpoint,
        ],
    )
    trained = Classifier.load(folder.best) if recipe.keep == "best" else classifier({})
    report = score(trained.probabilities(test.images), test)
    trained = replace(trained, metrics={"accuracy": report.accuracy, "loss": report.loss})
    trained.save(folder.model)
    write_text(folder.report, report.to_json())
    title = f"{training.dataset}, seed {recipe.seed}"
    save_figure(draw_curves(_columns(history.rows), title=title), folder.curves)
    heading = f"{report.dataset}, {report.pictures} test pictures: {report.accuracy:.1%} right"
    save_figure(draw_confusion(np.array(report.confusion), training.class_names, title=heading), folder.confusion)
    return Run(folder=folder, classifier=trained, history=history.rows, report=report)


def _optimizer(recipe: Recipe, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    steps = recipe.epochs * steps_per_epoch
    warmup = min(round(recipe.warmup_epochs * steps_per_epoch), steps - 1)
    schedule = keras.optimizers.schedules.CosineDecay(
        recipe.learning_rate / max(warmup, 1),  # not 0, with which the first step would learn nothing
        decay_steps=steps - warmup,
        warmup_target=recipe.learning_rate if warmup else None,
        warmup_steps=warmup,
    )
    kind = keras.optimizers.Adam
    if keras.backend.backend() == "tensorflow":
        from resnet50.training.fused import FusedAdam

        kind = FusedAdam
    # Keras' Adam decouples its decay as AdamW does; None spares a pass over the weights that a decay of 0 would cost
    optimizer = kind(schedule, beta_2=recipe.beta_2, weight_decay=recipe.weight_decay or None)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def _check_fit(recipe: Recipe, training: Split, test: Split) -> None:
    for split in (training, test):
        if split.images.shape[1:3] != (recipe.side, recipe.side):
            raise ValueError(
                f"{split.dataset}: needed pictures of {recipe.side} x {recipe.side} pixels for the recipe "
                f"{recipe.name}, got {split.images.shape[2]} x {split.images.shape[1]}; set side to theirs."
            )
        if not len(split):
            raise ValueError(f"{split.dataset}: there are no pictures in a split.")
    if training.class_names != test.class_names:
        raise ValueError(
            f"needed the same classes for training and test, got {', '.join(training.class_names)} and "
            f"{', '.join(test.class_names)}."
        )


def _advice(recipe: Recipe, folder: RunFolder) -> str:
    return (
        f"Lower the learning rate (it was {recipe.learning_rate:g}) or lengthen the warm-up "
        f"({recipe.warmup_epochs:g} epochs) in a new run; the last good state, if any, is in {folder.checkpoint}."
    )


def _columns(rows: list[dict[str, float]]) -> dict[str, list[float]]:
    return {name: [row.get(name, float("nan")) for row in rows] for name in rows[-1]}


def _floats(logs: dict[str, float]) -> dict[str, float]:
    return {name: float(value) for name, value in logs.items()}
