"""The optimizers: AdamW against Keras, SGD and LAMB against NumPy, with rates and decays that differ by weight."""

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


PHASE = Phase(epochs=3, learning_rate=0.1, schedule="polynomial", trainable="conv3", backbone_lr_multiplier=0.5)
HEAD = Phase(epochs=3, learning_rate=0.1, schedule="constant", trainable="head")


def several_steps(model, recipe, *, phase=PHASE, steps=3, scale=1.0):
    """Return the weights before, the gradients of some steps, and the weights after them."""
    freeze(model, phase)
    optimizer = build_optimizer(recipe, phase, model, 10)
    draw = np.random.default_rng(1)
    weights = model.trainable_variables
    before = {weight.path: draw.normal(size=weight.shape).astype("float32") for weight in weights}
    for weight in weights:
        weight.assign(before[weight.path])
    gradients = [{w.path: (scale * draw.normal(size=w.shape)).astype("float32") for w in weights} for _ in range(steps)]
    for step in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(step[w.path]) for w in weights], weights)
    return before, gradients, {w.path: keras.ops.convert_to_numpy(w) for w in weights}


def rate_of(path, step):
    return 0.1 * (1 - step / 30) * (1.0 if path.startswith("predictions") else 0.5)


def decayed(path):
    return path.endswith("kernel")


def test_sgd_is_that_of_pytorch(model):
    recipe = Recipe(name="x", phases=(PHASE,), optimizer="sgd", momentum=0.875, weight_decay=0.3)
    before, gradients, found = several_steps(model, recipe)
    for path, start in before.items():
        weight, velocity = start.astype(float), 0.0
        for step, each in enumerate(gradients):
            velocity = 0.875 * velocity + each[path] + (0.3 * weight if decayed(path) else 0)
            weight = weight - rate_of(path, step) * velocity
        np.testing.assert_allclose(found[path], weight, rtol=1e-4, atol=1e-5)


def test_sgd_without_momentum_has_no_state(model):
    recipe = Recipe(name="x", phases=(PHASE,), optimizer="sgd", momentum=0.0, weight_decay=0.0)
    before, gradients, found = several_steps(model, recipe, steps=1)
    for path, start in before.items():
        np.testing.assert_allclose(found[path], start - rate_of(path, 0) * gradients[0][path], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("scale", [1e-4, 1.0])  # below and above the limit of the norm
def test_lamb_is_that_of_timm(model, scale):
    recipe = Recipe(name="x", phases=(PHASE,), optimizer="lamb", weight_decay=0.3, clip_norm=1.0)
    before, gradients, found = several_steps(model, recipe, scale=scale)
    norms = [np.sqrt(sum((g.astype(float) ** 2).sum() for g in each.values())) for each in gradients]
    assert (max(norms) < 1) == (scale == 1e-4)
    for path, start in before.items():
        weight, m, v = start.astype(float), 0.0, 0.0
        for step, each in enumerate(gradients):
            gradient = each[path] / max(norms[step], 1.0)
            m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
            update = m / (1 - 0.9 ** (step + 1)) / (np.sqrt(v) / np.sqrt(1 - 0.999 ** (step + 1)) + 1e-6)
            if decayed(path):
                update = update + 0.3 * weight
                update = update * (np.linalg.norm(weight) / np.linalg.norm(update))
            weight = weight - rate_of(path, step) * update
        np.testing.assert_allclose(found[path], weight, rtol=5e-4, atol=5e-5)


def test_a_weight_of_zero_has_the_step_of_adam(model):
    freeze(model, PHASE)
    recipe = Recipe(name="x", phases=(PHASE,), optimizer="lamb", weight_decay=0.3)
    optimizer = build_optimizer(recipe, PHASE, model, 10)
    ones = [keras.ops.ones(weight.shape) for weight in model.trainable_variables]
    optimizer.apply(ones, model.trainable_variables)  # the fixture's weights are all 0
    for weight in model.trainable_variables:
        np.testing.assert_allclose(keras.ops.convert_to_numpy(weight), -rate_of(weight.path, 0), rtol=1e-4)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "lamb"])
def test_accumulated_gradients_are_their_mean(model, optimizer):
    recipe = Recipe(name="x", phases=(PHASE,), optimizer=optimizer, clip_norm=0.5, gradient_accumulation_steps=2)
    before, gradients, found = several_steps(model, recipe, phase=HEAD, steps=5)  # the fifth has no partner
    plain = build_optimizer(recipe.change(gradient_accumulation_steps=1), HEAD, model, 5)
    for weight in model.trainable_variables:
        weight.assign(before[weight.path])
    for one, other in (gradients[:2], gradients[2:4]):
        means = [keras.ops.convert_to_tensor((one[w.path] + other[w.path]) / 2) for w in model.trainable_variables]
        plain.apply(means, model.trainable_variables)
    for weight in model.trainable_variables:
        np.testing.assert_allclose(keras.ops.convert_to_numpy(weight), found[weight.path], rtol=1e-5, atol=1e-6)


def test_a_step_of_several_batches_has_the_rate_of_the_last(model):
    recipe = Recipe(
        name="x", phases=(PHASE,), optimizer="sgd", momentum=0.0, weight_decay=0.0, gradient_accumulation_steps=3
    )
    before, gradients, found = several_steps(model, recipe)
    path = "predictions/kernel"
    mean = sum(each[path] for each in gradients) / 3
    np.testing.assert_allclose(found[path], before[path] - rate_of(path, 2) * mean, rtol=1e-5, atol=1e-6)
