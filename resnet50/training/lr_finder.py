"""The learning-rate range test: let the rate rise step by step, and see from which one on the loss falls no more."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import keras
import numpy as np

from resnet50.data.batches import Batches
from resnet50.data.dataset import Dataset
from resnet50.data.mixing import Mixing
from resnet50.data.splitting import train_validation_split
from resnet50.training.fast_cpu.memory import keep_freed_memory
from resnet50.training.fast_cpu.precision import build_training_model, resolve_precision
from resnet50.training.network import build_network
from resnet50.training.optimizer import build_optimizer
from resnet50.training.phases import freeze
from resnet50.training.recipe import Recipe

KEPT = 0.95
"""Share of the old average that each step's loss leaves in the new one."""

LOST = 4.0
"""The test ends where the smoothed loss is so many times its lowest value."""

FEWEST = 10
"""Steps before which the average is one of too few losses to say anything."""


@dataclass(frozen=True)
class LearningRateCurve:
    """What the loss did while the learning rate rose.

    Attributes:
        rates: Learning rate of each step, rising.
        losses: Loss of each step in nats: the exponential average of those so far, corrected for its beginning.
        suggestion: Rate at which the loss was lowest, from which on it falls no more: to try as the highest of a
            schedule that warms up and falls. A rate that stays should be several times lower.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    suggestion: float


def find_learning_rate(
    recipe: Recipe,
    training: Dataset,
    *,
    lowest: float = 1e-6,
    highest: float = 1.0,
    steps: int = 100,
    progress: Callable[[int, int], None] | None = None,
) -> LearningRateCurve:
    """Train a fresh network for some steps, each with a higher rate, until the loss is lost.

    Network, precision, batches, their changes, loss and optimizer are the recipe's, and what it freezes stays frozen;
    its own rate and schedule, and phases before its last, are left out. The rates rise by one factor from step to step.

    Args:
        recipe: What will be trained.
        train: Images to learn from, RGB uint8 ``(n, side, side, 3)``; what the recipe holds out is not used.
        lowest: First rate.
        highest: Rate of the last step, if the test comes so far.
        steps: Steps from the one to the other, at least `FEWEST`.
        progress: Called after each step with the steps done and ``steps``.

    Returns:
        The curve up to where the loss was no number or `LOST` times its lowest value, and the suggested rate.

    Raises:
        ValueError: If an argument is not as described, the images do not fit the recipe, or the loss is lost within
            the first steps.

    Source: Smith 2015, arXiv:1506.01186, section 3.3; the suggestion is the upper of the two bounds found there.
    """
    if not 0 < lowest < highest < math.inf:
        raise ValueError(f"lowest and highest must be rates above 0 in rising order, got {lowest!r} and {highest!r}.")
    if steps < FEWEST:
        raise ValueError(f"steps must be at least {FEWEST}, got {steps!r}.")
    if training.images.shape[1:3] != (recipe.image_size, recipe.image_size):
        raise ValueError(
            f"{training.name}: expected images of {recipe.image_size} x {recipe.image_size} pixels for the recipe "
            f"{recipe.name}, got {training.images.shape[2]} x {training.images.shape[1]}; set side to theirs."
        )
    learner = _learner(recipe, len(training.class_names))
    rates, losses, average = [], [], 0.0
    for rate, batch in zip(np.geomspace(lowest, highest, steps), _endless(_batches(recipe, training)), strict=False):
        learner.optimizer.learning_rate = rate
        loss = float(learner.train_on_batch(*batch, return_dict=True)["loss"])
        if not math.isfinite(loss):
            break
        average = KEPT * average + (1 - KEPT) * loss
        rates.append(float(rate))
        losses.append(average / (1 - KEPT ** len(rates)))
        if progress:
            progress(len(rates), steps)
        if losses[-1] > LOST * min(losses[FEWEST - 1 :], default=math.inf):
            break
    if len(rates) < FEWEST:
        raise ValueError(f"the loss was lost after {len(rates)} steps, at a rate of {rate:.2g}; begin with a lower.")
    return LearningRateCurve(
        tuple(rates), tuple(losses), suggestion=rates[FEWEST - 1 + int(np.argmin(losses[FEWEST - 1 :]))]
    )


def _learner(recipe: Recipe, classes: int) -> keras.Model:
    model = build_network(recipe, classes, weights=recipe.weights)
    keep_freed_memory()
    training_model = build_training_model(model, resolve_precision(recipe.precision))
    freeze(training_model, recipe.last)
    steady = replace(recipe.last, schedule="constant", warmup_epochs=0.0, lr_factor=1.0, lr_patience=0)
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing)
    training_model.compile(build_optimizer(recipe, steady, training_model, steps_per_epoch=1), loss)
    return training_model


def _batches(recipe: Recipe, training: Dataset) -> Batches:
    learning = training
    if recipe.validation_split:
        learning, _ = train_validation_split(training, recipe.validation_split, seed=recipe.seed)
    return Batches(
        learning,
        min(recipe.batch_size, len(learning)),
        shuffle=True,
        augmentation=recipe.augmentation,
        mixing=Mixing(mixup=recipe.mixup, cutmix=recipe.cutmix),
        balance=recipe.class_weight == "balanced",
        seed=recipe.seed,
    )


def _endless(batches: Batches) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield the full batches of one epoch after another; a smaller one would cost TensorFlow another graph."""
    for epoch in itertools.count():
        batches.epoch = epoch
        for index in range(len(batches.dataset) // batches.batch_size):
            yield batches[index]
