"""Schedules against their formulas."""

from __future__ import annotations

import math

import pytest

from resnet50.training.phases import Phase
from resnet50.training.schedules import OneCycle, WarmUp, build_schedule


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
    found = rates(Phase(epochs=3, learning_rate=0.4, schedule="exponential", lr_factor=0.25), 2)
    assert found == pytest.approx([0.4, 0.2, 0.1, 0.05, 0.025, 0.0125], rel=1e-5)


def test_step_falls_after_every_few_epochs_of_the_phase():
    found = rates(Phase(epochs=6, learning_rate=0.4, schedule="step", lr_factor=0.1, lr_step_epochs=2), 3)
    assert found == pytest.approx([0.4] * 6 + [0.04] * 6 + [0.004] * 6, rel=1e-5)
    phase = Phase(epochs=4, learning_rate=0.4, warmup_epochs=1, schedule="step", lr_factor=0.5, lr_step_epochs=1.5)
    # the rise is one of the epochs that count
    assert rates(phase, 4) == pytest.approx([0.1, 0.175, 0.25, 0.325, 0.4, 0.4, *[0.2] * 6, *[0.1] * 4], rel=1e-5)


def test_polynomial_falls_to_zero_after_its_rise():
    found = rates(Phase(epochs=3, learning_rate=0.3, warmup_epochs=1, schedule="polynomial", lr_power=2.0), 2)
    assert found == pytest.approx([0.15, 0.225, 0.3, 0.3 * 0.75**2, 0.3 * 0.5**2, 0.3 * 0.25**2], rel=1e-5)
    assert rates(Phase(epochs=2, learning_rate=1.0, schedule="polynomial"), 2) == pytest.approx([1, 0.75, 0.5, 0.25])


@pytest.mark.parametrize(
    "phase",
    [
        Phase(epochs=2, learning_rate=0.4, schedule="constant"),
        Phase(epochs=2, learning_rate=0.4, schedule="plateau", lr_factor=0.5, lr_patience=2),
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


def test_a_rise_can_be_made_again_from_its_arguments():
    made = build_schedule(Phase(epochs=4, learning_rate=0.4, warmup_epochs=1, schedule="polynomial"), 4)
    assert float(WarmUp(**made.get_config())(2)) == float(made(2)) == pytest.approx(0.25)


def test_a_schedule_can_be_made_again_from_its_arguments():
    made = OneCycle(0.7, rise=10, steps=50)
    assert float(OneCycle(**made.get_config())(7)) == float(made(7))
