from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest

from resnet50.data.augmentation import Augmentation
from resnet50.training.recipe import Phase, Recipe


def test_json_gives_the_recipe_back_with_every_number(tiny_recipe):
    text = tiny_recipe.to_json()
    assert Recipe.from_json(text) == tiny_recipe
    assert json.loads(text)["augmentation"]["rotation"] == 10
    assert json.loads(text)["stages"][1] == ["conv3", 2, [5, 7, 24], 2]


def test_a_recipe_is_frozen(tiny_recipe):
    with pytest.raises(FrozenInstanceError):
        tiny_recipe.epochs = 5


@pytest.mark.parametrize(
    ("name", "value", "needed"),
    [
        ("epochs", 0, "epochs must be at least 1, got 0"),
        ("weights", Path("w.h5"), r"weights must be a name or None, got PosixPath\('w.h5'\)"),
        ("head", len, "head must be a name or None, got <built-in function len>"),
        (
            "conventions",
            "v2",
            r"conventions must be one of v1, v1\.5, keras, or None where there are weights, .* got 'v2'",
        ),
        ("batch_size", 0, "batch_size must be at least 1, got 0"),
        ("learning_rate", 0.0, "learning_rate must be above 0, got 0.0"),
        ("learning_rate", float("nan"), "learning_rate must be above 0, got nan"),
        ("learning_rate", float("inf"), "learning_rate must be above 0, got inf"),
        ("warmup_epochs", 4, "warmup_epochs must be 0 or more and less than 4 epochs, got 4"),
        (
            "schedule",
            "linear",
            "schedule must be one of cosine, constant, exponential, one-cycle, plateau, got 'linear'",
        ),
        ("rate_factor", 0.5, "rate_factor must be 1 with the schedule 'cosine', got 0.5"),
        ("rate_patience", 2, "rate_patience must be 0 with the schedule 'cosine', got 2"),
        ("trains", "conv4", "trains must be one of head, conv3, conv2, all, got 'conv4'"),
        ("body_rate", 0.0, "body_rate must be above 0 and at most 1, and 1 where .* got 0.0"),
        ("layer_decay", 1.5, "layer_decay must be above 0 and at most 1, and 1 where .* got 1.5"),
        ("patience", -1, "patience must be 0 or more, got -1"),
        ("patience", 3, "patience must be 0 where validation is 0, got 3"),
        ("mixup", -0.1, "mixup must be 0 or more, got -0.1"),
        ("cutmix", float("inf"), "cutmix must be 0 or more, got inf"),
        ("ema", 1.0, "ema must be 0 or more and less than 1, and 0 where average_epochs is above 1, got 1.0"),
        ("weight_decay", -1.0, "weight_decay must be 0 or more, got -1.0"),
        ("beta_2", 1.0, "beta_2 must be 0 or more and less than 1, got 1.0"),
        ("label_smoothing", 1.0, "label_smoothing must be 0 or more and less than 1, got 1.0"),
        ("validation", 1.0, "validation must be 0 or more and less than 1, got 1.0"),
        ("average_epochs", 0, "average_epochs must be 1, or up to 4 epochs where keep is 'last', got 0"),
        ("average_epochs", 5, "average_epochs must be 1, or up to 4 epochs where keep is 'last', got 5"),
        ("keep", "best", "keep must be 'last', or 'best' where validation is above 0, got 'best'"),
        ("keep", "first", "keep must be 'last', or 'best' where validation is above 0, got 'first'"),
        ("side", 31, "side must be at least 32 pixels, got 31"),
        ("precision", "float16", "precision must be one of auto, float32, bfloat16, got 'float16'"),
        ("checkpoint_epochs", 0, "checkpoint_epochs must be at least 1, got 0"),
        ("seed", -1, "seed must be 0 or more and less than 2\\*\\*32, got -1"),
    ],
)
def test_impossible_numbers_are_refused(tiny_recipe, name, value, needed):
    with pytest.raises(ValueError, match=needed):
        replace(tiny_recipe, **{name: value})


@pytest.mark.parametrize(
    ("schedule", "numbers", "needed"),
    [
        ("constant", {"warmup_epochs": 1}, "warmup_epochs must be 0 with the schedule 'constant', got 1"),
        ("exponential", {}, "rate_factor must be above 0 and less than 1 with the schedule 'exponential', got 1.0"),
        ("one-cycle", {}, "warmup_epochs must be above 0 and less than 4 epochs, got 0"),
        ("plateau", {"rate_factor": 0.5}, "rate_patience must be at least 1 with the schedule 'plateau', got 0"),
        ("plateau", {"rate_factor": 1.0}, "rate_factor must be above 0 and less than 1 with the schedule 'plateau'"),
    ],
)
def test_a_schedule_asks_for_its_own_numbers(tiny_recipe, schedule, numbers, needed):
    with pytest.raises(ValueError, match=needed):
        replace(tiny_recipe, **{"schedule": schedule, "warmup_epochs": 0, **numbers})


@pytest.mark.parametrize(
    ("phase", "needed"),
    [
        (Phase(epochs=1, patience=2), "patience must be 0 where validation is 0, got 2"),
        (Phase(epochs=1, trains="conv5"), "trains must be one of head, conv3, conv2, all, got 'conv5'"),
        (
            Phase(epochs=1, schedule="plateau", rate_factor=0.5, rate_patience=1),
            "schedule must be another than 'plateau' where validation is 0, got 'plateau'",
        ),
    ],
)
def test_a_phase_that_does_not_fit_the_recipe_is_refused(tiny_recipe, phase, needed):
    with pytest.raises(ValueError, match=needed):
        replace(tiny_recipe, before=(phase,))


def test_a_recipe_is_no_phase_before_another(tiny_recipe):
    with pytest.raises(ValueError, match="before must be a tuple of Phase, got"):
        replace(tiny_recipe, before=(tiny_recipe,))


def test_the_stages_of_the_paper_can_be_trained_from():
    for trains in ("head", "conv5", "conv4", "conv3", "conv2", "all"):
        Recipe(name="x", epochs=4, trains=trains)


def test_a_recipe_is_its_own_last_phase(tiny_recipe):
    first = Phase(epochs=2, trains="head")
    recipe = replace(tiny_recipe, before=(first,))
    assert recipe.phases == (first, recipe)
    assert recipe.lasting(40).before == (first,)
    assert Recipe.from_json(recipe.to_json()) == recipe


@pytest.mark.parametrize("numbers", [{"patience": 1, "average_epochs": 2}, {"ema": 0.9, "average_epochs": 2}])
def test_averaging_does_not_go_with_an_early_end_or_a_running_average(tiny_recipe, numbers):
    with pytest.raises(ValueError, match=r"(patience|ema) must be 0 .*where average_epochs is"):
        replace(tiny_recipe, validation=0.2, **numbers)


def test_averaging_does_not_go_with_the_best_epoch(tiny_recipe):
    with pytest.raises(ValueError, match="average_epochs must be 1, or up to 4 epochs where keep is 'last', got 2"):
        replace(tiny_recipe, validation=0.2, keep="best", average_epochs=2)


def test_weights_bring_their_own_conventions(tiny_recipe):
    with pytest.raises(
        ValueError, match=r"conventions must be one of v1, v1\.5, keras, or None where there are weights"
    ):
        replace(tiny_recipe, weights="imagenet", conventions="v1")


@pytest.mark.parametrize("name", ["body_rate", "layer_decay"])
def test_a_head_alone_has_no_rates_below_it(name):
    with pytest.raises(ValueError, match=f"{name} must be above 0 and at most 1, and 1 where the head alone trains"):
        Phase(epochs=1, trains="head", **{name: 0.5})


def test_an_unknown_number_is_refused(tiny_recipe):
    with pytest.raises(TypeError, match="momentum"):
        replace(tiny_recipe, momentum=0.9)


@pytest.mark.parametrize(
    ("text", "message"), [("{", "broken JSON"), ("[]", "needed a recipe with"), ('{"name": "x"}', r"found \['name'\]")]
)
def test_other_json_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        Recipe.from_json(text)


@pytest.mark.parametrize(
    ("name", "value"),
    [("epochs", "4"), ("augmentation", {"shake": 1}), ("stages", [1]), ("before", [{"epochs": 1, "speed": 2}])],
)
def test_json_of_other_types_is_refused(tiny_recipe, name, value):
    values = json.loads(tiny_recipe.to_json())
    with pytest.raises(ValueError, match="needed a recipe with numbers of the right type, found others"):
        Recipe.from_json(json.dumps({**values, name: value}))


def test_another_number_of_epochs_stretches_warm_up_and_averaging(tiny_recipe):
    recipe = replace(tiny_recipe, epochs=20, warmup_epochs=2, average_epochs=5)
    assert (recipe.lasting(40).warmup_epochs, recipe.lasting(40).average_epochs) == (4, 10)
    assert (recipe.lasting(1).epochs, recipe.lasting(1).warmup_epochs, recipe.lasting(1).average_epochs) == (1, 0.1, 1)
    assert replace(recipe, average_epochs=1).lasting(200).average_epochs == 1


def test_an_augmentation_out_of_range_is_refused():
    with pytest.raises(ValueError, match=r"augmentation shift must be 0\.\.0\.5, got 0\.6"):
        Augmentation(shift=0.6)
