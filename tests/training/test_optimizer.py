"""AdamW: learning rates and decays that differ from weight to weight."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from factories import tiny_model
from resnet50.training.layer_groups import freeze
from resnet50.training.optimizer import build_optimizer
from resnet50.training.phases import Phase
from resnet50.training.recipe import Recipe


@pytest.fixture
def model():
    model = tiny_model(5, size=(40, 32), seed=None)
    # from zero a float32 step of half the size is half the step to the last bit
    model.set_weights([np.zeros_like(weight) for weight in model.get_weights()])
    return model


def first_step(model, phase, start=0.0, **numbers):
    """Move every weight once by one and the same gradient."""
    freeze(model, phase)
    recipe = Recipe(name="x", phases=(Phase(epochs=4),), **{"weight_decay": 0.0, **numbers})
    optimizer = build_optimizer(recipe, phase, model, 5)
    optimizer.build(model.trainable_variables)
    rng = np.random.default_rng(0)
    for weight in model.trainable_variables:
        weight.assign(np.full(weight.shape, start, "float32"))
    gradients = [
        keras.ops.convert_to_tensor(rng.normal(size=w.shape).astype("float32")) for w in model.trainable_variables
    ]
    optimizer.apply(gradients, model.trainable_variables)
    return {weight.path: keras.ops.convert_to_numpy(weight) for weight in model.trainable_variables}


def test_the_first_update_is_exactly_the_scaled_one(model):
    plain = first_step(model, Phase(epochs=1))
    scaled = first_step(model, Phase(epochs=1, backbone_lr_multiplier=0.5, layer_lr_decay=0.25))
    factors = {"conv1": 0.5 * 0.25**3, "conv2": 0.5 * 0.25**2, "conv3": 0.5 * 0.25, "predictions": 1.0}
    assert len(scaled) == len(plain) > 20
    for path, update in scaled.items():
        assert np.abs(update).max() > 0
        np.testing.assert_array_equal(update, plain[path] * np.float32(factors[path.split("/")[0].split("_")[0]]))


def test_the_decay_of_a_weight_follows_its_rate_and_spares_the_same(model):
    phase = Phase(epochs=1, learning_rate=0.1, schedule="constant", layer_lr_decay=0.5)
    decayed, not_decayed = (first_step(model, phase, start=1.0, weight_decay=decay) for decay in (0.5, 0.0))
    factors = {"conv1": 0.125, "conv2": 0.25, "conv3": 0.5, "predictions": 1.0}
    for path, weight in decayed.items():
        taken = 0.1 * 0.5 * factors[path.split("/")[0].split("_")[0]] if path.endswith("kernel") else 0.0
        np.testing.assert_allclose(not_decayed[path] - weight, taken, atol=1e-6)


def test_without_ratios_it_is_keras_adamw(model):
    phase = Phase(epochs=4, learning_rate=0.1, schedule="constant")
    recipe = Recipe(name="x", phases=(phase,), weight_decay=0.3, beta_2=0.9)
    keras_own = keras.optimizers.AdamW(0.1, weight_decay=0.3, beta_2=0.9)
    keras_own.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    draw = np.random.default_rng(0)
    start = [draw.normal(size=weight.shape) for weight in model.weights]
    gradients = [draw.normal(size=weight.shape).astype("float32") for weight in model.trainable_variables]
    ends = []
    for optimizer in (keras_own, build_optimizer(recipe, phase, model, 5)):
        model.set_weights(start)
        for sign in (1, -0.5, 2):
            optimizer.apply([keras.ops.convert_to_tensor(sign * g) for g in gradients], model.trainable_variables)
        ends.append(model.get_weights())
    for expected, found in zip(*ends, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert any(np.abs(end - begun).max() > 0.1 for begun, end in zip(start, ends[0], strict=True))


def test_the_running_average_is_that_of_the_recipe(model):
    recipe = Recipe(name="x", phases=(Phase(epochs=4),), ema=0.75)
    for phase in (recipe.last, Phase(epochs=1, layer_lr_decay=0.5)):
        optimizer = build_optimizer(recipe, phase, model, 5)
        assert (optimizer.use_ema, optimizer.ema_momentum) == (True, 0.75)
