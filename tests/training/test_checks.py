from __future__ import annotations

from factories import raises
from resnet50.training.checks import check_steps
from resnet50.training.phases import LinearProbe


def test_a_phase_has_batches_for_one_step_at_least(tiny_recipe):
    recipe = tiny_recipe.change(epochs=2, gradient_accumulation_steps=6)  # batches of 8
    check_steps(recipe, 17)
    with raises(ValueError, "gradient_accumulation_steps", 4, "2 epochs", "16 images", 6):
        check_steps(recipe, 16)
    check_steps(recipe.change(phases=(LinearProbe(c_values=(1.0,)), recipe.last)), 17)
