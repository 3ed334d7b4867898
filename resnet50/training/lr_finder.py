"""The learning rate range test: raise the learning rate step by step, and find where the loss stops falling."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from resnet50._io.keras_settings import keras_defaults
from resnet50._io.text import plural
from resnet50.data.dataset import Dataset
from resnet50.data.splits import DatasetSplits
from resnet50.training.accelerator import compiles_each_size
from resnet50.training.checks import check_image_size
from resnet50.training.fast_cpu.memory import keep_freed_memory
from resnet50.training.fast_cpu.precision import resolve_precision
from resnet50.training.fitting import training_batches, training_model
from resnet50.training.layer_groups import freeze
from resnet50.training.losses import build_loss
from resnet50.training.network import build_network
from resnet50.training.optimizer import build_optimizer
from resnet50.training.recipe import Recipe

SMOOTHING = 0.95
"""Weight of the old average in the exponential average of the losses."""

DIVERGED = 4.0
"""The test ends where the smoothed loss is more than this multiple of its lowest value."""

MIN_STEPS = 10
"""Steps before the average has enough losses to be compared."""


@dataclass(frozen=True)
class LearningRateCurve:
    """The loss at each learning rate of a range test.

    Attributes:
        rates: Learning rate of each step, rising.
        losses: Exponential average of the losses up to each step, in nats, with the bias of its beginning corrected.
        suggestion: Learning rate at which the loss was lowest. Try it as the highest of a schedule with warm-up and
            decay; a constant learning rate should be several times lower.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    suggestion: float


@keras_defaults()
def find_learning_rate(
    recipe: Recipe,
    dataset: Dataset,
    *,
    lowest: float = 1e-6,
    highest: float = 1.0,
    steps: int = 100,
    progress: Callable[[int, int], None] | None = None,
) -> LearningRateCurve:
    """Train a new network for some steps, each with a higher learning rate, until it diverges.

    Network, precision, batches, augmentation, loss and optimizer are the recipe's, and frozen layers are those of its
    last phase. Its learning rate, its schedule and earlier phases are not used. The learning rate rises geometrically.

    Args:
        recipe: The recipe to find a learning rate for.
        dataset: Images to learn from, RGB uint8 ``(n, image_size, image_size, 3)``; the recipe's share is held out.
        lowest: First learning rate.
        highest: Learning rate of the last step, if the training does not diverge before it.
        steps: Steps from lowest to highest, at least `MIN_STEPS`.
        progress: Called after each step with the steps done and ``steps``.

    Returns:
        The curve up to where the loss was NaN, infinite or more than `DIVERGED` times its lowest value, and the
        suggested learning rate.

    Raises:
        ValueError: If an argument is not as described, the images do not fit the recipe, or the training diverges
            within the first steps.

    Source: Smith 2015, arXiv:1506.01186, section 3.3; the suggestion is the upper of its two bounds.
    """
    if not 0 < lowest < highest < math.inf:
        raise ValueError(f"expected 0 < lowest < highest for the learning rates, got {lowest!r} and {highest!r}.")
    if steps < MIN_STEPS:
        raise ValueError(f"expected steps to be at least {MIN_STEPS}, got {steps!r}.")
    check_image_size(recipe, dataset)
    dataset = DatasetSplits(train=dataset).hold_out(recipe.validation_split, seed=recipe.seed)["train"]
    model = _training_model(recipe, len(dataset.class_names))
    rates, losses, average = [], [], 0.0
    batches = _endless(recipe, dataset)
    for rate in np.geomspace(lowest, highest, steps):
        model.optimizer.learning_rate = rate
        step = itertools.islice(batches, recipe.gradient_accumulation_steps)
        loss = float(np.mean([model.train_on_batch(*batch, return_dict=True)["loss"] for batch in step]))
        if not math.isfinite(loss):
            break
        average = SMOOTHING * average + (1 - SMOOTHING) * loss
        rates.append(float(rate))
        losses.append(average / (1 - SMOOTHING ** len(rates)))
        if progress:
            progress(len(rates), steps)
        if losses[-1] > DIVERGED * min(losses[MIN_STEPS - 1 :], default=math.inf):
            break
    if len(rates) < MIN_STEPS:
        raise ValueError(
            f"the training diverged after {plural(len(rates), 'step')}, at a learning rate of {rate:.2g}; set lowest "
            "below it."
        )
    return LearningRateCurve(
        tuple(rates), tuple(losses), suggestion=rates[MIN_STEPS - 1 + int(np.argmin(losses[MIN_STEPS - 1 :]))]
    )


def _training_model(recipe: Recipe, classes: int) -> keras.Model:
    """Build the network, ready to train at a learning rate that is set for each step."""
    model = build_network(recipe, classes, weights=recipe.weights)
    keep_freed_memory()
    fitted = training_model(recipe, model, resolve_precision(recipe.precision))
    freeze(fitted, recipe.last)
    usual: dict[str, Any] = {
        "warmup_epochs": 0.0,
        "lr_factor": 1.0,
        "lr_patience": 0,
        "lr_step_epochs": 0.0,
        "lr_power": 1.0,
    }
    constant = replace(recipe.last, schedule="constant", **usual)
    fitted.compile(build_optimizer(recipe, constant, fitted, steps_per_epoch=1), build_loss(recipe))
    return fitted


def _endless(recipe: Recipe, dataset: Dataset) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield batches of one size, epoch after epoch: for a smaller one, TensorFlow would trace another graph.

    They are the full ones, or all where training makes them of one size.
    """
    full = recipe.change(batch_size=min(recipe.batch_size, len(dataset)), share_last_batch=False)
    batches = training_batches(full, dataset)
    for epoch in itertools.count():
        batches.epoch = epoch
        for index in range(len(batches) if compiles_each_size() else len(dataset) // batches.batch_size):
            yield batches[index]
