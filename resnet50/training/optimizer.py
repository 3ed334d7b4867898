"""The optimizer of a phase and the schedule of its rate: Keras' own wherever it has them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops
from keras.optimizers import schedules

from resnet50.training.phases import rate_factors
from resnet50.training.recipe import Phase, Recipe

NO_DECAY = ("bias", "gamma", "beta")
"""Names of the weights that weight decay spares."""


def build_optimizer(
    recipe: Recipe, phase: Phase, model: keras.Model, steps_per_epoch: int
) -> keras.optimizers.Optimizer:
    """Build the AdamW of a phase.

    Args:
        recipe: Weight decay, moments and running average, which are those of every phase.
        phase: Schedule and ratio of the rates.
        model: Network that will be trained, its layers frozen for the phase.
        steps_per_epoch: Batches in an epoch.

    Returns:
        Optimizer with its moments, on TensorFlow the fused one. If the first step made the moments, TensorFlow would
        have to trace that step twice.
    """
    kind: type[keras.optimizers.Adam] = keras.optimizers.Adam
    if keras.backend.backend() == "tensorflow":
        from resnet50.training.fast_cpu.fused import FusedAdam

        kind = FusedAdam
    optimizer = _decoupled(kind)(
        build_schedule(phase, steps_per_epoch),
        factors=rate_factors(model, phase),
        decays=[0.0 if weight.name in NO_DECAY else recipe.weight_decay for weight in model.trainable_variables],
        beta_2=recipe.beta_2,
        use_ema=recipe.ema > 0,
        ema_momentum=recipe.ema,
    )
    optimizer.build(model.trainable_variables)
    return optimizer


def build_schedule(phase: Phase, steps_per_epoch: int) -> float | schedules.LearningRateSchedule:
    """Build what the learning rate of a phase does.

    Args:
        phase: Schedule, rate, warm-up and epochs.
        steps_per_epoch: Batches in an epoch.

    Returns:
        Schedule over the phase's steps; a number where the rate is set from outside, or never changes.
    """
    steps = phase.epochs * steps_per_epoch
    rise = min(round(phase.warmup_epochs * steps_per_epoch), steps - 1)
    if phase.schedule == "cosine":
        return schedules.CosineDecay(
            phase.learning_rate / max(rise, 1),  # not 0, with which the first step would learn nothing
            decay_steps=steps - rise,
            warmup_target=phase.learning_rate if rise else None,
            warmup_steps=rise,
        )
    if phase.schedule == "exponential":
        return schedules.ExponentialDecay(phase.learning_rate, steps_per_epoch, phase.lr_factor)
    if phase.schedule == "one-cycle":
        return OneCycle(phase.learning_rate, rise=rise, steps=steps)
    return float(phase.learning_rate)


class OneCycle(schedules.LearningRateSchedule):
    """A learning rate that rises along half a cosine from a 25th and falls along another to a 250,000th.

    The momentum, which the papers move the other way, stays: AdamW's is hardly ever moved.

    Args:
        highest: Rate between the two.
        rise: Steps of the first.
        steps: Steps of both; the last of them has the lowest rate.

    Source: Smith and Topin 2017, arXiv:1708.07120, section 2; shape and ratios are those of fastai and PyTorch.
    """

    def __init__(self, highest: float, *, rise: int, steps: int) -> None:
        self.highest, self.rise, self.steps = highest, rise, steps

    def __call__(self, step: Any) -> Any:
        """Return the rate of a step, counted from 0."""
        step = ops.cast(step, "float32")
        up = step / max(self.rise, 1)
        down = ops.minimum((step - self.rise) / max(self.steps - 1 - self.rise, 1), 1.0)
        first, last = self.highest / 25, self.highest / 25e4
        rising = first + (self.highest - first) * (1 - ops.cos(math.pi * up)) / 2
        falling = last + (self.highest - last) * (1 + ops.cos(math.pi * down)) / 2
        return ops.where(step < self.rise, rising, falling)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {"highest": self.highest, "rise": self.rise, "steps": self.steps}


def _decoupled(kind: type[keras.optimizers.Adam]) -> Any:
    """Return the kind of Adam with a rate and a decay of its own for each weight."""

    class AdamW(kind):
        """Adam whose rate is multiplied by a factor for each weight, and whose decay follows that rate.

        Keras' own decay knows one rate, and reads and writes the weights more often.

        Args:
            rate: Learning rate or schedule.
            factors: A factor for each weight, in the order in which the model has them.
            decays: Share of each weight, times its rate, that a step takes away.
            **numbers: Those of Adam.

        Source: Loshchilov and Hutter 2017, arXiv:1711.05101, algorithm 2.
        """

        def __init__(self, rate: Any, *, factors: Sequence[float], decays: Sequence[float], **numbers: Any) -> None:
            super().__init__(rate, **numbers)
            self.factors, self.decays = tuple(factors), tuple(decays)

        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            """Move one weight by its gradient; both have its shape."""
            index = self._get_variable_index(variable)
            rate = learning_rate * self.factors[index]
            if self.decays[index]:
                self.assign(variable, variable * (1 - rate * self.decays[index]))
            super().update_step(gradient, variable, rate)

    return AdamW
