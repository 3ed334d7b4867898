"""Fitting: train the network phase by phase, from the start or from a checkpoint, and return the classifier."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial

import keras

from resnet50.data.batches import Batches
from resnet50.data.dataset import Dataset
from resnet50.data.fit import DEFAULT_FIT
from resnet50.data.mixing import Mixing
from resnet50.inference.classifier import Classifier
from resnet50.training.averaging import ValidateAverage, WeightAverage, averaged
from resnet50.training.callbacks import KeepBest, SetEpoch, phase_callbacks
from resnet50.training.checkpoint import Checkpoint, Position, read_position, recorded_callbacks
from resnet50.training.divergence import StopDivergence
from resnet50.training.fast_cpu.memory import keep_freed_memory
from resnet50.training.fast_cpu.precision import build_training_model
from resnet50.training.history import WriteHistory
from resnet50.training.layer_groups import freeze
from resnet50.training.optimizer import build_optimizer
from resnet50.training.phases import Phase
from resnet50.training.preparation import PreparedRun
from resnet50.training.progress import Progress
from resnet50.training.recipe import Recipe


def fit(
    run: PreparedRun, callbacks: Sequence[keras.callbacks.Callback], progress: Progress
) -> tuple[Classifier, list[dict[str, float]]]:
    """Train a prepared run: all epochs, or those that are left after its checkpoint.

    Args:
        run: The prepared run.
        callbacks: The caller's callbacks.
        progress: Shows the epochs.

    Returns:
        The trained classifier, and the history: a row for each epoch of all phases.

    Raises:
        resnet50.training.divergence.DivergenceError: If the training diverges.
    """
    keep_freed_memory()
    fitting = _Fitting(run, callbacks, progress)
    position = read_position(run.directory.checkpoint)
    while position.phase < len(run.record.recipe.phases):
        fitting.fit_phase(position)
        position = Position(position.phase + 1, began=len(fitting.history.rows))
    if run.record.recipe.keeps_best:
        return Classifier.load(run.directory.best), fitting.history.rows
    return fitting.classifier({}), fitting.history.rows


class _Fitting:
    """The training model of a run, and the state that all phases share: batches, history and the best epoch."""

    def __init__(self, run: PreparedRun, callbacks: Sequence[keras.callbacks.Callback], progress: Progress) -> None:
        self.run, self.recipe, self.progress = run, run.record.recipe, progress
        self.logging = [callback for callback in callbacks if isinstance(callback, keras.callbacks.TensorBoard)]
        self.stored = [callback for callback in callbacks if callback not in self.logging]
        self.training_model = build_training_model(run.model, run.record.precision)
        self.batches = training_batches(self.recipe, run.splits["train"])
        self.history = WriteHistory(run.directory.history)
        self.best = KeepBest(self.copy_best) if run.splits.validation is not None else None

    def fit_phase(self, position: Position) -> None:
        """Train one phase, from its beginning or its checkpoint."""
        phase = self.recipe.phases[position.phase]
        freeze(self.training_model, phase)
        self.training_model.compile(
            optimizer=build_optimizer(self.recipe, phase, self.training_model, len(self.batches)),
            loss=keras.losses.CategoricalCrossentropy(label_smoothing=self.recipe.label_smoothing),
            metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],  # by its name, the step is traced twice
        )
        self.history.phase = position.phase + 1 if len(self.recipe.phases) > 1 else None
        stored = self.stored_callbacks(position)
        checkpoint = Checkpoint(
            self.run.directory.checkpoint,
            position=position,
            every=self.recipe.checkpoint_epochs,
            epochs=position.began + phase.epochs,
            others=stored,
            before=self.best.write if self.best else None,
        )
        self.progress.begin_phase(position.phase, position.began)
        validation = self.run.splits.validation
        begins = checkpoint.restore(self.training_model)
        try:
            self.training_model.fit(
                self.batches,
                validation_data=Batches(validation, self.recipe.batch_size) if validation is not None else None,
                initial_epoch=begins,
                epochs=position.began + phase.epochs,
                shuffle=False,  # Batches shuffles, by the recipe's seed
                verbose=0,
                callbacks=[*self.own_callbacks(phase), *stored, *self.logging, self.progress, checkpoint],
            )
        except BaseException:  # Ctrl-C, a signal, or an error in the midst of an epoch
            checkpoint.write_latest()
            raise

    def own_callbacks(self, phase: Phase) -> list[keras.callbacks.Callback]:
        """Return the callbacks whose state no checkpoint stores."""
        return [
            SetEpoch(self.batches),
            *([ValidateAverage()] if self.recipe.ema else []),
            StopDivergence(
                len(self.run.splits["train"].class_names),
                advice=f"Lower the learning rate (it was {phase.learning_rate:g}) or lengthen the warm-up "
                f"({phase.warmup_epochs:g} epochs) in a new run; the last good state, if any, is in "
                f"{self.run.directory.checkpoint}.",
            ),
        ]

    def stored_callbacks(self, position: Position) -> list[keras.callbacks.Callback]:
        """Return the callbacks whose state a checkpoint stores, in the order that it stores them."""
        phase, path = self.recipe.phases[position.phase], self.run.directory.checkpoint
        averages = position.phase == len(self.recipe.phases) - 1 or (  # or it was the last, before the run was extended
            position == read_position(path) and WeightAverage.__name__ in recorded_callbacks(path)
        )
        average = [WeightAverage(self.recipe.swa_epochs, position.began + phase.epochs)] if averages else []
        return [self.history, *average, *([self.best] if self.best else []), *self.stored, *phase_callbacks(phase)]

    def copy_best(self, logs: dict[str, float]) -> Callable[[], None]:
        """Copy the weights of the best epoch; return the function that writes them."""
        return partial(self.classifier(logs).save, self.run.directory.best)

    def classifier(self, metrics: Mapping[str, float]) -> Classifier:
        """Copy the weights of the training model, or their running average, into the plain model."""
        with averaged(self.training_model):
            self.run.model.set_weights(self.training_model.get_weights())
        return Classifier(
            model=self.run.model,
            class_names=self.run.splits["train"].class_names,
            dataset=self.run.record.dataset,
            fingerprint=self.run.record.fingerprints["train"],
            fit=self.recipe.fit or DEFAULT_FIT,
            recipe=asdict(self.recipe),
            metrics={name: float(value) for name, value in metrics.items()},
        )


def training_batches(recipe: Recipe, train: Dataset) -> Batches:
    """Return the batches that a recipe trains on: shuffled, augmented, mixed and balanced as it says.

    Args:
        recipe: Batch size, augmentation, mixing, class weight and seed.
        train: Images to learn from, RGB uint8 ``(n, image_size, image_size, 3)``.
    """
    return Batches(
        train,
        recipe.batch_size,
        share_last=recipe.share_last_batch,
        shuffle=True,
        augmentation=recipe.augmentation,
        mixing=Mixing(recipe.mixup, recipe.cutmix) if recipe.mixup or recipe.cutmix else None,
        balance=recipe.class_weight == "balanced",
        seed=recipe.seed,
    )
