"""Learning rate schedules: Keras' own where it has them, a linear warm-up, and the one-cycle schedule."""

from __future__ import annotations

import math
from typing import Any

from keras import ops
from keras.optimizers import schedules

from resnet50.training.phases import Phase


def build_schedule(phase: Phase, steps_per_epoch: int) -> float | schedules.LearningRateSchedule:
    """Build the learning rate schedule of a phase.

    Args:
        phase: Schedule, learning rate, warm-up and epochs.
        steps_per_epoch: Batches in an epoch.

    Returns:
        Schedule over the phase's steps; a number where the rate is constant or a callback sets it.
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
    if phase.schedule == "step":
        every = max(1, round(phase.lr_step_epochs * steps_per_epoch))
        falling = schedules.ExponentialDecay(phase.learning_rate, every, phase.lr_factor, staircase=True)
        return WarmUp(falling, highest=phase.learning_rate, rise=rise, begins=0)
    if phase.schedule == "polynomial":
        falling = schedules.PolynomialDecay(phase.learning_rate, steps - rise, 0.0, phase.lr_power)
        return WarmUp(falling, highest=phase.learning_rate, rise=rise, begins=rise)
    if phase.schedule == "exponential":
        return schedules.ExponentialDecay(phase.learning_rate, steps_per_epoch, phase.lr_factor)
    if phase.schedule == "one-cycle":
        return OneCycle(phase.learning_rate, rise=rise, steps=steps)
    return float(phase.learning_rate)


class WarmUp(schedules.LearningRateSchedule):
    """A learning rate that rises linearly before it follows another schedule.

    Args:
        schedule: The schedule that follows.
        highest: Learning rate at the end of the rise.
        rise: Steps of the rise, which begins with ``highest / rise``; 0 for none.
        begins: Step at which the other schedule begins: 0 if it runs on during the rise.

    Source: Goyal et al. 2017, arXiv:1706.02677, section 2.2.
    """

    def __init__(self, schedule: schedules.LearningRateSchedule, *, highest: float, rise: int, begins: int) -> None:
        self.schedule, self.highest, self.rise, self.begins = schedule, highest, rise, begins

    def __call__(self, step: Any) -> Any:
        """Return the learning rate of a step, counted from 0."""
        step = ops.cast(step, "float32")
        first = self.highest / max(self.rise, 1)  # not 0, with which the first step would learn nothing
        rising = first + (self.highest - first) * step / max(self.rise, 1)
        return ops.where(step < self.rise, rising, self.schedule(ops.maximum(step - self.begins, 0.0)))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {"schedule": self.schedule, "highest": self.highest, "rise": self.rise, "begins": self.begins}


class OneCycle(schedules.LearningRateSchedule):
    """A learning rate that rises along half a cosine from a 25th of the highest and falls along another to a 250,000th.

    The momentum stays constant: the paper moves it the other way, but that is unusual with AdamW.

    Args:
        highest: Learning rate at the top.
        rise: Steps of the rise.
        steps: Steps of rise and fall together; the last of them has the lowest rate.

    Source: Smith and Topin 2017, arXiv:1708.07120, section 2; shape and ratios are those of fastai and PyTorch.
    """

    def __init__(self, highest: float, *, rise: int, steps: int) -> None:
        self.highest, self.rise, self.steps = highest, rise, steps

    def __call__(self, step: Any) -> Any:
        """Return the learning rate of a step, counted from 0."""
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
