"""The optimizer of a phase: AdamW with a learning rate multiplier and a weight decay for each weight."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from resnet50.training.layer_groups import learning_rate_multipliers
from resnet50.training.phases import Phase
from resnet50.training.recipe import Recipe
from resnet50.training.schedules import build_schedule

NO_DECAY = ("bias", "gamma", "beta")
"""Names of the weights that weight decay spares."""


def build_optimizer(
    recipe: Recipe, phase: Phase, model: keras.Model, steps_per_epoch: int
) -> keras.optimizers.Optimizer:
    """Build the AdamW of a phase.

    Args:
        recipe: Weight decay, moments and running average, the same in every phase.
        phase: Schedule and learning rate multipliers.
        model: Network to train, its layers frozen for the phase.
        steps_per_epoch: Batches in an epoch.

    Returns:
        Optimizer with its moments; on TensorFlow the fused one. If the first step created the moments, TensorFlow would
        trace that step twice.
    """
    adam: type[keras.optimizers.Adam] = keras.optimizers.Adam
    if keras.backend.backend() == "tensorflow":
        from resnet50.training.fast_cpu.fused import FusedAdam

        adam = FusedAdam
    optimizer = _adamw(adam)(
        build_schedule(phase, steps_per_epoch),
        multipliers=learning_rate_multipliers(model, phase),
        decays=[0.0 if weight.name in NO_DECAY else recipe.weight_decay for weight in model.trainable_variables],
        beta_2=recipe.beta_2,
        use_ema=recipe.ema > 0,
        ema_momentum=recipe.ema,
    )
    optimizer.build(model.trainable_variables)
    return optimizer


def _adamw(adam: type[keras.optimizers.Adam]) -> Any:
    """Return AdamW on top of this Adam, Keras' own or the fused one."""

    class AdamW(adam):
        """Adam with a learning rate multiplier and a decoupled weight decay for each weight.

        Keras' own decay has one learning rate for all weights, and reads and writes each weight more often.

        Args:
            learning_rate: Learning rate or schedule.
            multipliers: A multiplier for each weight, in the model's order.
            decays: Share of each weight, times its learning rate, that a step takes away.
            **options: Those of Adam.

        Source: Loshchilov and Hutter 2017, arXiv:1711.05101, algorithm 2.
        """

        def __init__(
            self, learning_rate: Any, *, multipliers: Sequence[float], decays: Sequence[float], **options: Any
        ) -> None:
            super().__init__(learning_rate, **options)
            self.multipliers, self.decays = tuple(multipliers), tuple(decays)

        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            """Update one weight by its gradient; both have its shape."""
            index = self._get_variable_index(variable)
            rate = learning_rate * self.multipliers[index]
            if self.decays[index]:
                self.assign(variable, variable * (1 - rate * self.decays[index]))
            super().update_step(gradient, variable, rate)

    return AdamW
