"""Fitting: train the network phase by phase, from the start or from a checkpoint, and return the classifier."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import keras
import numpy as np

from resnet50._io.text import plural
from resnet50.data.batches import Batches
from resnet50.data.dataset import Dataset
from resnet50.data.fit import DEFAULT_FIT
from resnet50.data.mixing import Mixing
from resnet50.data.random_crop import Resize
from resnet50.data.share import ALONE, Share
from resnet50.inference.classifier import Classifier
from resnet50.inference.features import last_dense
from resnet50.training.accelerator import compiles_each_size
from resnet50.training.averaging import ValidateAverage, WeightAverage, averaged
from resnet50.training.callbacks import KeepBest, SetEpoch, WriteHistory, phase_callbacks
from resnet50.training.checkpoint import Checkpoint, Position, read_position, recorded_callbacks
from resnet50.training.devices import data_parallel
from resnet50.training.divergence import DivergenceError, StopDivergence
from resnet50.training.fast_cpu.memory import keep_freed_memory
from resnet50.training.fast_cpu.precision import build_training_model
from resnet50.training.features import FrozenPart, boundary, upper_part, versions, why_not_stored
from resnet50.training.feeding import OneStepLate, batches_ahead, keep_compiled_programs, looks_at_steps
from resnet50.training.held_out import Misclassified, chooses, halves
from resnet50.training.layer_groups import freeze
from resnet50.training.linear_probe import LabeledFeatures, LinearHead, fit_linear_head
from resnet50.training.losses import Accuracy, build_loss, takes_logits
from resnet50.training.optimizer import build_optimizer
from resnet50.training.phases import LinearProbe, Phase
from resnet50.training.preparation import PreparedRun
from resnet50.training.progress import Progress
from resnet50.training.recipe import Recipe

_STEP = 6.0
"""About how long an image takes in a training step of all layers, as a multiple of its forward pass in inference."""

_COMPILE = 20.0
"""About how many seconds the first step of all layers takes longer than the others."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """What a training leaves.

    Attributes:
        classifier: The trained classifier.
        history: A row for each epoch of all phases.
        frozen: The part of its network that no phase has trained, and its features; None where all layers were trained.
        probe: The linear probe that gave its head, with the ``C`` that it chose; None where the head was trained
            otherwise.
        chosen_by: Validation images that choices were made by; None where there are none.
        set_aside: Validation images that no choice was made by, to fit thresholds on; None where there are none.
    """

    classifier: Classifier
    history: list[dict[str, float]]
    frozen: FrozenPart | None
    probe: LinearProbe | None
    chosen_by: Dataset | None
    set_aside: Dataset | None


def fit(run: PreparedRun, callbacks: Sequence[keras.callbacks.Callback], progress: Progress) -> Fitted:
    """Train a prepared run: all epochs, or those that are left after its checkpoint.

    Args:
        run: The prepared run.
        callbacks: The caller's callbacks.
        progress: Shows the epochs.

    Raises:
        resnet50.training.divergence.DivergenceError: If the training diverges and no earlier phase has a best epoch.
    """
    keep_freed_memory()
    keep_compiled_programs()
    fitting = _Fitting(run, callbacks, progress)
    position = read_position(run.directory.checkpoint)
    while position.phase < len(run.record.recipe.phases):
        fitting.train_phase(position)
        position = Position(position.phase + 1, began=len(fitting.history.rows))
    return fitting.result()


class _Fitting:
    """The training model of a run, and the state that all phases share: history, features and the best epoch."""

    def __init__(self, run: PreparedRun, callbacks: Sequence[keras.callbacks.Callback], progress: Progress) -> None:
        self.run, self.recipe, self.progress = run, run.record.recipe, progress
        self.logging = [callback for callback in callbacks if isinstance(callback, keras.callbacks.TensorBoard)]
        self.stored = [callback for callback in callbacks if callback not in self.logging]
        self.fitted: keras.Model | None = None  # the training model, or its upper part for a phase on features
        self.frozen: FrozenPart | None = None
        self.seconds_per_image: float | None = None  # of a forward pass
        self.history = WriteHistory(run.directory.history)
        self.best = KeepBest(self.copy_best) if run.splits.validation is not None else None
        self.best_state: _State | None = None
        self.probe: LinearProbe | None = None  # that gave the head which the network has now
        self.validation = run.splits.validation  # what choices are made by
        self.set_aside = None if self.validation is None or chooses(self.recipe) else self.validation

    @cached_property
    def training_model(self) -> keras.Model:
        """The model that phases of epochs train, on all devices; a linear probe does without."""
        with data_parallel(self.run.share):
            return training_model(self.recipe, self.run.model, self.run.record.precision)

    def current_model(self) -> keras.Model:
        """Return the plain model with the weights that it has now."""
        if "training_model" in vars(self):
            self.run.model.set_weights(self.training_model.get_weights())
        return self.run.model

    def train_phase(self, position: Position) -> None:
        """Train one phase, from its beginning or its checkpoint, or leave it out."""
        phase = self.recipe.phases[position.phase]
        self.history.phase = position.phase + 1 if len(self.recipe.phases) > 1 else None
        wrong = self.misclassified() if phase.min_error else None
        if wrong and wrong.at_most(phase.min_error):
            self.progress.leave_out(position.phase, wrong)
            return
        self.progress.begin_phase(position.phase, position.began, self.estimate(phase), wrong)
        if isinstance(phase, Phase) and self.set_aside is None and self.validation is not None:
            self.divide_validation(position)
        if self.best:
            self.best.before = self.best.best_accuracy  # or, once a checkpoint of this phase is restored, its own
            if self.best.before >= 0 and self.recipe.keeps_best and not self.resumes(position):
                self.start_from_best()
        if isinstance(phase, LinearProbe):
            self.fit_probe(phase, position)
        else:
            try:
                self.fit_phase(phase, position)
            except DivergenceError as error:
                if not (position.phase and self.recipe.keeps_best and self.best and self.best.best_accuracy >= 0):
                    raise
                self.progress.say(f"This phase ended early: {error}")
        if self.best and self.recipe.keeps_best and self.best.before >= 0:
            best = self.best.epoch > position.began
            self.progress.end_phase(position.phase, self.best.before, self.best.best_accuracy, best=best)

    def resumes(self, position: Position) -> bool:
        """Return whether a checkpoint of this phase is there, which is restored."""
        return read_position(self.run.directory.checkpoint) == position

    def misclassified(self) -> Misclassified | None:
        """Return how many validation images the best epoch so far misclassifies; None before the first epoch."""
        if self.best is None or self.validation is None or self.best.best_accuracy < 0:
            return None
        images = len(self.validation)
        return Misclassified(round((1 - self.best.best_accuracy) * images), images)

    def divide_validation(self, position: Position) -> None:
        """Set half of the validation images aside before a phase that trains more than a linear probe.

        Thresholds are fitted on them at the end, so that they choose nothing from here on: the C of the probe
        that the phase starts from is chosen anew.
        """
        self.validation, self.set_aside = halves(self.run.splits["validation"], seed=self.recipe.seed)
        best = self.best_state.probe if self.best_state and self.recipe.keeps_best else self.probe
        if self.set_aside is None or best is None or self.resumes(position):
            return
        if self.best:
            self.best.forget()
        probes = (phase for phase in self.recipe.phases if isinstance(phase, LinearProbe))
        head = self.choose_head(next(probe for probe in probes if probe.views == best.views), position.began - 1)
        self.progress.set_aside(len(self.set_aside), len(self.validation), head.scores["val_accuracy"])

    def start_from_best(self) -> None:
        """Give the network the weights of the epoch that validated best, which may not be those of the last one."""
        if self.best_state is not None:
            weights = self.best_state.weights
        else:  # an earlier process trained it
            weights = Classifier.load(self.run.directory.best, runtime="keras").model.get_weights()
        self.run.model.set_weights(weights)
        if "training_model" in vars(self):
            self.training_model.set_weights(weights)

    def estimate(self, phase: Phase | LinearProbe) -> float | None:
        """Return about how many seconds a phase may take, from the time that features have taken, if any have."""
        if self.seconds_per_image is None:
            return None
        images = len(self.run.splits["train"])
        if isinstance(phase, LinearProbe):
            return self.seconds_per_image * images * (phase.views - 1)
        if phase.trainable != "all":
            return None
        return _COMPILE + self.seconds_per_image * images * phase.epochs * _STEP

    def fit_probe(self, probe: LinearProbe, position: Position) -> None:
        """Fit the linear head to features, and put it into the network."""
        began = time.perf_counter()
        head = self.choose_head(probe, position.began)
        self.history.add({"epoch": position.began + 1, **head.scores, "seconds": time.perf_counter() - began})
        self.progress.end_probe(position.began, head.c, head.scores)

    def choose_head(self, probe: LinearProbe, epoch: int) -> LinearHead:
        """Return the linear head that validates best, which the network has now."""
        self.fitted = None
        train, validation = self.batches(probe)
        self.add_features(probe, train, validation)
        head = fit_linear_head(
            probe,
            LabeledFeatures(train.features, train.dataset.labels, train.image_weights),
            LabeledFeatures(validation.features, validation.dataset.labels) if validation else None,
            classes=len(train.dataset.class_names),
        )
        for model in (self.run.model, *([self.training_model] if "training_model" in vars(self) else [])):
            last_dense(model).set_weights([head.kernel, head.bias])
        self.probe = replace(probe, c_values=(head.c,))
        if self.best:
            self.best.on_epoch_end(epoch, head.scores)
        return head

    def fit_phase(self, phase: Phase, position: Position) -> None:
        """Fit the layers of a phase, epoch by epoch."""
        self.probe = None
        freeze(self.training_model, phase)
        reason = why_not_stored(self.recipe, phase, self.run.model, len(self.run.splits["train"]))
        if reason and phase.trainable != "all":
            self.progress.say(f"The frozen layers are computed in every epoch, since {reason}.")
        whole, name = self.training_model, boundary(self.run.model, phase) if phase.trainable != "all" else ""
        self.fitted = whole if reason else upper_part(whole, name)
        train, validation = self.batches(phase)
        with data_parallel(self.run.share):
            self.fitted.compile(
                optimizer=build_optimizer(self.recipe, phase, self.fitted, len(train)),
                loss=build_loss(self.recipe),
                weighted_metrics=[Accuracy()],  # "accuracy", by name, would trace the step twice
            )
        stored = self.stored_callbacks(phase, position)
        epochs = position.began + phase.epochs
        checkpoint = Checkpoint(
            self.run.directory.checkpoint,
            position=position,
            every=self.recipe.checkpoint_epochs,
            epochs=epochs,
            others=stored,
            network=whole,
            before=self.best.write if self.best else None,
        )
        begins = checkpoint.restore(self.fitted)
        if reason:
            self.frozen = None
        else:
            self.add_features(phase, train, validation)  # of the restored weights
        callbacks = [*self.own_callbacks(phase, train), *stored, *self.logging, self.progress, checkpoint]
        late = not any(looks_at_steps(callback) for callback in [*self.stored, *self.logging])
        params = {"model": self.fitted, "epochs": epochs, "steps": len(train), "verbose": 0}
        try:
            with data_parallel(self.run.share):
                self.fitted.fit(
                    train,
                    validation_data=validation,
                    initial_epoch=begins,
                    epochs=epochs,
                    shuffle=False,  # Batches shuffles, by the recipe's seed
                    verbose=0,
                    callbacks=OneStepLate(callbacks, **params) if late else callbacks,
                )
        except BaseException:  # Ctrl-C, a signal, or an error in the midst of an epoch
            checkpoint.write_latest()
            raise
        self.say_early_end(phase, position, stored)

    def say_early_end(self, phase: Phase, position: Position, stored: Sequence[keras.callbacks.Callback]) -> None:
        """Report that the patience of a phase ended it. Its last epoch and the caller's callbacks may end it, too."""
        epochs = len(self.history.rows) - position.began
        stopping = stored[-1]  # EarlyStopping is the last of `phase_callbacks` where a phase has patience
        # 0 until it stops, and in an extended run perhaps that of an earlier end
        stopped = getattr(stopping, "stopped_epoch", 0)
        if phase.patience and 1 < epochs < phase.epochs and stopped == position.began + epochs - 1:
            self.progress.say(
                f"ended early after {epochs} of {phase.epochs} epochs: {plural(phase.patience, 'epoch')} without a "
                "lower validation loss"
            )

    def batches(self, phase: Phase | LinearProbe) -> tuple[Batches, Batches | None]:
        """Return the batches of images that a phase trains on, and those that it is validated on."""
        share = self.run.share
        train = training_batches(self.recipe, self.run.splits["train"], views=phase.views, share=share)
        if self.validation is None:
            return train, None
        return train, Batches(
            self.validation,
            self.recipe.batch_size,
            resize=training_size(self.recipe),
            share=share,
            fill=True,
            equal=compiles_each_size(),
            ahead=batches_ahead(),
        )

    def add_features(self, phase: Phase | LinearProbe, train: Batches, validation: Batches | None) -> None:
        """Replace the images of batches by the features below a phase, in every version."""
        model = self.current_model()
        self.frozen = self.frozen_part(model, boundary(model, phase))
        count = versions(self.recipe, phase)
        with self.progress.counted("computing features") as counted:
            train.features = [self.frozen.features(train, version, progress=counted) for version in range(count)]
            if validation is not None:
                validation.features = [self.frozen.features(validation, progress=counted)]
        self.seconds_per_image = self.frozen.seconds_per_image or self.seconds_per_image

    def frozen_part(self, model: keras.Model, name: str) -> FrozenPart:
        """Return the part of a network up to a layer, with the weights that it has now."""
        record = self.run.record
        return FrozenPart(model, name, environment=record.environment, precision=record.precision)

    def own_callbacks(self, phase: Phase, train: Batches) -> list[keras.callbacks.Callback]:
        """Return the callbacks whose state no checkpoint stores."""
        return [
            SetEpoch(train),
            *([ValidateAverage()] if self.recipe.ema else []),
            StopDivergence(
                len(self.run.splits["train"].class_names),
                advice=f"Lower the learning rate (it was {phase.learning_rate:g}) or lengthen the warm-up "
                f"({phase.warmup_epochs:g} epochs) in a new run; the last good state, if any, is in "
                f"{self.run.directory.checkpoint}.",
            ),
        ]

    def stored_callbacks(self, phase: Phase, position: Position) -> list[keras.callbacks.Callback]:
        """Return the callbacks whose state a checkpoint stores, in the order that it stores them."""
        path = self.run.directory.checkpoint
        averages = position.phase == len(self.recipe.phases) - 1 or (  # or it was the last, before the run was extended
            position == read_position(path) and WeightAverage.__name__ in recorded_callbacks(path)
        )
        average = [WeightAverage(self.recipe.swa_epochs, position.began + phase.epochs)] if averages else []
        return [self.history, *average, *([self.best] if self.best else []), *self.stored, *phase_callbacks(phase)]

    def copy_best(self, logs: dict[str, float]) -> Callable[[], None]:
        """Copy the weights of the best epoch; return the function that writes them."""
        state = self.best_state = _State(self.weights(), logs, self.frozen, self.probe)
        if self.best:
            self.best.frozen = self.frozen.name if self.frozen else ""
            self.best.probe = (self.probe.views, *self.probe.c_values) if self.probe else ()
        return lambda: self.classifier(state).save(self.run.directory.best)

    def weights(self) -> list[np.ndarray]:
        """Return a copy of the current weights, or of their running average."""
        with averaged(self.fitted) if self.fitted else nullcontext():
            return [np.array(weight) for weight in self.current_model().get_weights()]

    def classifier(self, state: _State) -> Classifier:
        """Return the plain model with some weights."""
        self.run.model.set_weights(state.weights)
        return Classifier(
            network=self.run.model,
            class_names=self.run.splits["train"].class_names,
            dataset=self.run.record.dataset,
            fingerprint=self.run.record.fingerprints["train"],
            fit=self.recipe.fit or DEFAULT_FIT,
            recipe=self.published_recipe(),
            metrics={name: float(value) for name, value in state.scores.items()},
        )

    def published_recipe(self) -> dict[str, Any]:
        """Return the recipe with the hash of the pretrained weights, whose file may have any name."""
        weights = self.run.record.weights
        return asdict(self.recipe) | ({"weights_sha256": weights.sha256} if weights else {})

    def result(self) -> Fitted:
        """Return the state after the last phase, or that of the best epoch."""
        if not self.recipe.keeps_best:
            state = _State(self.weights(), {}, self.frozen, self.probe)
        elif self.best_state is not None:
            state = self.best_state
        else:  # this process has trained no better epoch than an earlier one
            return self.earlier_result()
        return self.fitted_by(self.classifier(state), state.frozen, state.probe)

    def earlier_result(self) -> Fitted:
        """Return the best epoch of an earlier process, whose recipe may have had fewer phases."""
        classifier = replace(Classifier.load(self.run.directory.best, runtime="keras"), recipe=self.published_recipe())
        frozen = self.frozen_part(classifier.model, self.best.frozen) if self.best and self.best.frozen else None
        stored = self.best.probe if self.best else ()
        probe = LinearProbe(views=stored[0], c_values=stored[1:]) if stored else None
        return self.fitted_by(classifier, frozen, probe)

    def fitted_by(self, classifier: Classifier, frozen: FrozenPart | None, probe: LinearProbe | None) -> Fitted:
        """Return a classifier with the images that chose it, and those that did not."""
        chosen_by = None if self.set_aside is self.validation else self.validation
        return Fitted(classifier, self.history.rows, frozen, probe, chosen_by, self.set_aside)


@dataclass(frozen=True, eq=False)
class _State:
    """Weights of the network, with their scores, the part that was not trained, and the probe that gave the head."""

    weights: list[np.ndarray]
    scores: Mapping[str, float]
    frozen: FrozenPart | None
    probe: LinearProbe | None


def training_model(recipe: Recipe, model: keras.Model, precision: str) -> keras.Model:
    """Return the training model of a recipe: for its size of training images and its loss.

    Args:
        recipe: Training size and loss.
        model: The plain network.
        precision: ``"float32"`` or ``"bfloat16"``.
    """
    size, logits = recipe.train_image_size, takes_logits(recipe)
    return build_training_model(model, precision, image_size=size, logits=logits)


def training_size(recipe: Recipe) -> Resize | None:
    """Return how images are resized for training; None where they have the size and nothing is cropped."""
    if recipe.train_image_size is None and recipe.augmentation.crop_area == 1:
        return None
    size = recipe.train_image_size or recipe.image_size
    return Resize(size, size, (recipe.fit or DEFAULT_FIT).resampling)


def training_batches(recipe: Recipe, train: Dataset, *, views: int = 0, share: Share = ALONE) -> Batches:
    """Return the batches that a recipe trains on: shuffled, augmented, mixed and balanced as it says.

    Args:
        recipe: Batch size, augmentation, mixing, class weight and seed.
        train: Images to learn from, RGB uint8 ``(n, image_size, image_size, 3)``.
        views: As in `resnet50.training.phases.Phase`.
        share: The rows that this process makes.
    """
    return Batches(
        train,
        recipe.batch_size,
        share_last=recipe.share_last_batch,
        shuffle=True,
        augmentation=recipe.augmentation,
        resize=training_size(recipe),
        views=views,
        mixing=Mixing(recipe.mixup, recipe.cutmix) if recipe.mixup or recipe.cutmix else None,
        balance=recipe.class_weight == "balanced",
        seed=recipe.seed,
        share=share,
        equal=compiles_each_size(),
        ahead=batches_ahead(),
    )
