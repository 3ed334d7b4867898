"""The optimizer of a phase: AdamW, SGD or LAMB, with a learning rate multiplier and a decay for each weight."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from resnet50.training.accelerator import find_accelerator
from resnet50.training.layer_groups import learning_rate_multipliers
from resnet50.training.phases import Phase
from resnet50.training.recipe import Recipe
from resnet50.training.schedules import build_schedule

NO_DECAY = ("bias", "gamma", "beta")
"""Names of the weights that weight decay spares."""

_LAMB_EPSILON = 1e-6  # that of timm and of NVIDIA's LAMB


def build_optimizer(
    recipe: Recipe, phase: Phase, model: keras.Model, steps_per_epoch: int
) -> keras.optimizers.Optimizer:
    """Build the optimizer of a phase.

    Args:
        recipe: Optimizer, weight decay, moments, clipping, accumulation and running average, the same in every phase.
        phase: Schedule and learning rate multipliers.
        model: Network to train, its layers frozen for the phase.
        steps_per_epoch: Batches in an epoch.

    Returns:
        Optimizer with its moments; for TensorFlow on a processor AdamW is the fused one. Its schedule counts batches: a
        step that takes the gradients of several has the rate of the last. If the first step created the moments,
        TensorFlow would trace that step twice.
    """
    accumulated = recipe.gradient_accumulation_steps
    options: dict[str, Any] = {
        "multipliers": learning_rate_multipliers(model, phase),
        "decays": [0.0 if weight.name in NO_DECAY else recipe.weight_decay for weight in model.trainable_variables],
        "global_clipnorm": recipe.clip_norm or None,
        "gradient_accumulation_steps": accumulated if accumulated > 1 else None,
        "use_ema": recipe.ema > 0,
        "ema_momentum": recipe.ema,
    }
    if recipe.optimizer == "sgd":
        kind, options["momentum"] = SGD, float(recipe.momentum)
    else:
        kind = LAMB if recipe.optimizer == "lamb" else _adamw()
        options |= {"beta_1": recipe.momentum, "beta_2": recipe.beta_2}
    optimizer = kind(build_schedule(phase, steps_per_epoch), **options)
    optimizer.build(model.trainable_variables)
    return optimizer


class _ForEachWeight(keras.optimizers.Optimizer):
    """What our optimizers add to Keras': a learning rate multiplier and a decay for each weight.

    Args:
        learning_rate: Learning rate or schedule.
        multipliers: A multiplier for each weight, in the model's order.
        decays: The weight decay of each weight; Keras' own has one for all.
        **options: Those of Keras' optimizer.
    """

    def __init__(
        self, learning_rate: Any, *, multipliers: Sequence[float], decays: Sequence[float], **options: Any
    ) -> None:
        super().__init__(learning_rate, **options)
        self.multipliers, self.decays = tuple(multipliers), tuple(decays)


def _adamw() -> Any:
    """Return AdamW on top of Adam: Keras' own, or the fused one for TensorFlow on a processor."""
    adam: type[keras.optimizers.Adam] = keras.optimizers.Adam
    if keras.backend.backend() == "tensorflow" and find_accelerator() is None:
        from resnet50.training.fast_cpu.fused import FusedAdam

        adam = FusedAdam

    class AdamW(_ForEachWeight, adam):
        """Adam with a learning rate multiplier and a decoupled weight decay for each weight.

        A step first takes ``rate * decay * w`` from a weight ``w``. Keras' own decay has one learning rate for all
        weights, and reads and writes each weight more often.

        Source: Loshchilov and Hutter 2017, arXiv:1711.05101, algorithm 2.
        """

        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            """Update one weight by its gradient; both have its shape."""
            index = self._get_variable_index(variable)
            rate = learning_rate * self.multipliers[index]
            if self.decays[index]:
                self.assign(variable, variable * (1 - rate * self.decays[index]))
            super().update_step(gradient, variable, rate)

    return AdamW


class SGD(_ForEachWeight, keras.optimizers.SGD):
    """Gradient descent with momentum and a weight decay that is a part of the gradient, as PyTorch has it.

    ``v = momentum * v + (g + decay * w)``; ``w = w - rate * v``. In Keras' own SGD the velocity contains the rates of
    earlier steps, so that a change of the rate takes effect later.

    Source: Goyal et al. 2017, arXiv:1706.02677, section 3, equation 9; ``torch.optim.SGD``.
    """

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update one weight by its gradient; both have its shape."""
        index = self._get_variable_index(variable)
        step = gradient + self.decays[index] * variable if self.decays[index] else gradient
        if self.momentum:
            step = self.momentum * self.momentums[index] + step
            self.assign(self.momentums[index], step)
        self.assign_sub(variable, learning_rate * self.multipliers[index] * step)


class LAMB(_ForEachWeight, keras.optimizers.Lamb):
    """Adam whose step on a weight is as long as the weight times the learning rate, as timm has it.

    With Adam's moments ``m`` and ``v``, corrected for their bias: ``u = m / (sqrt(v) + 1e-6) + decay * w``;
    ``w = w - rate * |w| / |u| * u``, where the ratio is 1 if a norm is 0. A weight without decay (biases, batch norm)
    has no ratio: its step is Adam's. Keras' own LAMB has no decay within ``u``, and a ratio for every weight. timm's
    clips the norm of all gradients to 1, which is `Recipe.clip_norm` here.

    Source: You et al. 2019, arXiv:1904.00962, algorithm 2; ``timm/optim/lamb.py``.
    """

    def __init__(self, learning_rate: Any, **options: Any) -> None:
        super().__init__(learning_rate, epsilon=_LAMB_EPSILON, **options)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update one weight by its gradient; both have its shape."""
        index = self._get_variable_index(variable)
        step = ops.cast(self.iterations + 1, variable.dtype)
        mean, square = self._momentums[index], self._velocities[index]
        m = self.beta_1 * mean + (1 - self.beta_1) * gradient
        v = self.beta_2 * square + (1 - self.beta_2) * ops.square(gradient)
        self.assign(mean, m)
        self.assign(square, v)
        update = m / (1 - self.beta_1**step) / (ops.sqrt(v / (1 - self.beta_2**step)) + self.epsilon)
        if self.decays[index]:
            update = update + self.decays[index] * variable
            update = update * _trust_ratio(variable, update)
        self.assign_sub(variable, learning_rate * self.multipliers[index] * update)


def _trust_ratio(variable: Any, update: Any) -> Any:
    """Return the norm of a weight over that of its update; 1 where one of them is 0."""
    of_weight, of_update = (ops.sqrt(ops.sum(ops.square(each))) for each in (variable, update))
    positive = ops.logical_and(of_weight > 0, of_update > 0)
    return ops.where(positive, of_weight / ops.where(positive, of_update, 1.0), 1.0)
