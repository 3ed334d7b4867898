"""Schedules against their formulas, and rates that differ from weight to weight."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest

from factories import tiny_model
from resnet50.training.optimizer import OneCycle, build_optimizer, build_schedule
from resnet50.training.phases import freeze
from resnet50.training.recipe import Phase, Recipe


def rates(phase, steps_per_epoch):
    """Rate of each step of a phase."""
    schedule = build_schedule(phase, steps_per_epoch)
    steps = range(phase.epochs * steps_per_epoch)
    return [float(schedule(step)) if callable(schedule) else schedule for step in steps]


def test_cosine_rises_and_falls():
    found = rates(Phase(epochs=3, learning_rate=0.3, warmup_epochs=1), 3)
    expected = [0.1 + 0.2 * k / 3 for k in range(3)] + [0.15 * (1 + math.cos(math.pi * k / 6)) for k in range(6)]
    assert found == pytest.approx(expected, rel=1e-5)


def test_cosine_without_warm_up_begins_at_the_top():
    assert rates(Phase(epochs=2, learning_rate=0.3), 1) == pytest.approx([0.3, 0.15], rel=1e-5)


def test_exponential_is_multiplied_in_every_epoch():
    found = rates(Phase(epochs=3, learning_rate=0.4, schedule="exponential", rate_factor=0.25), 2)
    assert found == pytest.approx([0.4, 0.2, 0.1, 0.05, 0.025, 0.0125], rel=1e-5)


@pytest.mark.parametrize(
    "phase",
    [
        Phase(epochs=2, learning_rate=0.4, schedule="constant"),
        Phase(epochs=2, learning_rate=0.4, schedule="plateau", rate_factor=0.5, rate_patience=2),
    ],
)
def test_a_rate_that_is_set_from_outside_is_a_number(phase):
    assert build_schedule(phase, 5) == 0.4


def test_one_cycle_rises_from_a_25th_and_falls_to_a_250000th():
    found = rates(Phase(epochs=5, learning_rate=1.0, schedule="one-cycle", warmup_epochs=2), 2)
    up = [0.04 + 0.96 * (1 - math.cos(math.pi * k / 4)) / 2 for k in range(4)]
    down = [4e-6 + (1 - 4e-6) * (1 + math.cos(math.pi * k / 5)) / 2 for k in range(6)]
    assert found == pytest.approx(up + down, rel=1e-4, abs=1e-7)
    assert float(OneCycle(1.0, rise=4, steps=10)(10)) == pytest.approx(4e-6, abs=1e-7)  # where training would go on


def test_one_cycle_is_that_of_pytorch():
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    other = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.7, total_steps=50, pct_start=0.22, cycle_momentum=False)
    for step in range(50):
        assert float(OneCycle(0.7, rise=10, steps=50)(step)) == pytest.approx(
            other.get_last_lr()[0], rel=1e-4, abs=1e-7
        )
        optimizer.step()
        if step < 49:
            other.step()


def test_a_schedule_can_be_made_again_from_its_arguments():
    made = OneCycle(0.7, rise=10, steps=50)
    assert float(OneCycle(**made.get_config())(7)) == float(made(7))


@pytest.fixture
def model():
    model = tiny_model(5, size=(40, 32), seed=None)
    # from zero a float32 step of half the size is half the step to the last bit
    model.set_weights([np.zeros_like(weight) for weight in model.get_weights()])
    return model


def first_step(model, phase, start=0.0, **numbers):
    """Move every weight once by one and the same gradient."""
    freeze(model, phase)
    recipe = Recipe(name="x", epochs=4, **{"weight_decay": 0.0, **numbers})
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
    scaled = first_step(model, Phase(epochs=1, body_rate=0.5, layer_decay=0.25))
    factors = {"conv1": 0.5 * 0.25**3, "conv2": 0.5 * 0.25**2, "conv3": 0.5 * 0.25, "predictions": 1.0}
    assert len(scaled) == len(plain) > 20
    for path, update in scaled.items():
        assert np.abs(update).max() > 0
        np.testing.assert_array_equal(update, plain[path] * np.float32(factors[path.split("/")[0].split("_")[0]]))


def test_the_decay_of_a_weight_follows_its_rate_and_spares_the_same(model):
    phase = Phase(epochs=1, learning_rate=0.1, schedule="constant", layer_decay=0.5)
    decayed, not_decayed = (first_step(model, phase, start=1.0, weight_decay=decay) for decay in (0.5, 0.0))
    factors = {"conv1": 0.125, "conv2": 0.25, "conv3": 0.5, "predictions": 1.0}
    for path, weight in decayed.items():
        taken = 0.1 * 0.5 * factors[path.split("/")[0].split("_")[0]] if path.endswith("kernel") else 0.0
        np.testing.assert_allclose(not_decayed[path] - weight, taken, atol=1e-6)


def test_without_ratios_it_is_keras_adamw(model):
    recipe = Recipe(
        name="x", epochs=4, learning_rate=0.1, schedule="constant", warmup_epochs=0, weight_decay=0.3, beta_2=0.9
    )
    keras_own = keras.optimizers.AdamW(0.1, weight_decay=0.3, beta_2=0.9)
    keras_own.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    draw = np.random.default_rng(0)
    start = [draw.normal(size=weight.shape) for weight in model.weights]
    gradients = [draw.normal(size=weight.shape).astype("float32") for weight in model.trainable_variables]
    ends = []
    for optimizer in (keras_own, build_optimizer(recipe, recipe, model, 5)):
        model.set_weights(start)
        for sign in (1, -0.5, 2):
            optimizer.apply([keras.ops.convert_to_tensor(sign * g) for g in gradients], model.trainable_variables)
        ends.append(model.get_weights())
    for expected, found in zip(*ends, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert any(np.abs(end - begun).max() > 0.1 for begun, end in zip(start, ends[0], strict=True))


def test_the_running_average_is_that_of_the_recipe(model):
    recipe = Recipe(name="x", epochs=4, ema=0.75)
    for phase in (recipe, Phase(epochs=1, layer_decay=0.5)):
        optimizer = build_optimizer(recipe, phase, model, 5)
        assert (optimizer.use_ema, optimizer.ema_momentum) == (True, 0.75)
