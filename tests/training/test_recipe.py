from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest

from factories import raises
from resnet50.data.augmentation import Augmentation
from resnet50.forms import FORMS
from resnet50.model import TABLE_1
from resnet50.training.phases import LinearProbe, Phase
from resnet50.training.recipe import DEPTHS, Recipe
from resnet50.training.recipe import FORMS as FORM_NAMES


def test_json_gives_the_recipe_back_with_every_number(tiny_recipe):
    text = tiny_recipe.to_json()
    assert Recipe.from_json(text) == tiny_recipe
    assert json.loads(text)["augmentation"]["rotation"] == 10
    assert json.loads(text)["stages"][1] == ["conv3", 2, [5, 7, 24], 2]


def test_a_recipe_is_frozen(tiny_recipe):
    with pytest.raises(FrozenInstanceError):
        tiny_recipe.seed = 5


@pytest.mark.parametrize(
    ("name", "value", "needed"),
    [
        ("epochs", 0, (1,)),
        ("weights", Path("w.h5"), ("None",)),
        ("head", len, ("string",)),
        ("conventions", "v2", ("v1", "v1.5", "keras", "None", "weights")),
        ("batch_size", 0, (1,)),
        ("learning_rate", 0.0, ()),
        ("learning_rate", float("nan"), (0,)),
        ("learning_rate", float("inf"), (0,)),
        ("warmup_epochs", 4, ()),
        ("warmup_epochs", 7, (0, 4)),
        ("schedule", "linear", ("cosine", "constant", "exponential", "one-cycle", "plateau")),
        ("lr_factor", 0.5, (1, "'cosine'")),
        ("lr_patience", 2, (0, "'cosine'")),
        ("trainable", "conv4", ("head", "conv3", "conv2", "all")),
        ("backbone_lr_multiplier", 0.0, (1, "head")),
        ("layer_lr_decay", 1.5, (0, "head")),
        ("patience", -1, (0,)),
        ("patience", 3, ("validation_split", 0)),
        ("mixup", -1.5, (0,)),
        ("cutmix", float("inf"), (0,)),
        ("ema", 1.0, ("swa_epochs",)),
        ("ema", 3.5, (0, 1, "swa_epochs")),
        ("weight_decay", -1.5, (0,)),
        ("beta_2", 1.0, ()),
        ("beta_2", 3.5, (0, 1)),
        ("label_smoothing", 1.0, ()),
        ("label_smoothing", 3.5, (0, 1)),
        ("validation_split", 1.0, ()),
        ("validation_split", 3.5, (0, 1)),
        ("swa_epochs", 0, (1, 4, "restore_best")),
        ("swa_epochs", 5, (1, 4, "restore_best")),
        ("class_weight", "even", ("'balanced'", "None")),
        ("restore_best", True, ("False", "validation_split", 0)),
        ("phases", (), ("tuple", "Phase")),
        ("phases", [Phase(epochs=1)], ("tuple", "Phase")),
        ("phases", Phase(epochs=1), ("tuple", "Phase")),
        ("image_size", 31, (32,)),
        ("precision", "float16", ("auto", "float32", "bfloat16")),
        ("checkpoint_epochs", 0, (1,)),
        ("seed", -1, (0, "2**32")),
        ("optimizer", "adam", ("adamw", "sgd", "lamb")),
        ("momentum", 1.0, (0, 1)),
        ("gradient_accumulation_steps", 0, (1,)),
        ("clip_norm", -1.0, (0,)),
        ("clip_norm", float("inf"), (0,)),
        ("loss", "hinge", ("cross-entropy", "binary-cross-entropy")),
        ("target_threshold", 0.2, ("binary-cross-entropy",)),
        ("train_image_size", 16, (32, "flatten")),
        ("train_image_size", 48.0, ("whole number", "None")),
        ("depth", 20, (18, 34, 50, 101, 152)),
        ("depth", 18, (50, "stages")),
        ("form", "dense", ("residual", "plain", "preactivation")),
        ("stochastic_depth", 1.0, (0, 1)),
        ("stochastic_depth", -0.1, (0, 1)),
    ],
)
def test_impossible_numbers_are_refused(tiny_recipe, name, value, needed):
    with raises(ValueError, name, repr(value), *needed):
        tiny_recipe.change(**{name: value})


@pytest.mark.parametrize(
    ("schedule", "numbers", "values"),
    [
        ("constant", {"warmup_epochs": 1}, ("warmup_epochs", 0, "'constant'", 1)),
        ("exponential", {}, ("lr_factor", "'exponential'", 1.0)),
        ("one-cycle", {}, ("warmup_epochs", 4, 0)),
        ("plateau", {"lr_factor": 0.5}, ("lr_patience", 1, "'plateau'", 0)),
        ("plateau", {"lr_factor": 1.0}, ("lr_factor", "'plateau'", 1.0)),
        ("plateau", {"lr_factor": 3.5}, ("lr_factor", 0, 1, "'plateau'", 3.5)),
        ("step", {"lr_step_epochs": 1}, ("lr_factor", "'step'", 1.0)),
        ("step", {"lr_factor": 0.1}, ("lr_step_epochs", 4, "'step'", 0.0)),
        ("step", {"lr_factor": 0.1, "lr_step_epochs": 5}, ("lr_step_epochs", 4, "'step'", 5)),
        ("polynomial", {"lr_power": 0.0}, ("lr_power", 0, "'polynomial'", 0.0)),
        ("cosine", {"lr_power": 2.0}, ("lr_power", 1, "'cosine'", 2.0)),
        ("cosine", {"lr_step_epochs": 1}, ("lr_step_epochs", 0, "'cosine'", 1)),
    ],
)
def test_a_schedule_asks_for_its_own_numbers(tiny_recipe, schedule, numbers, values):
    with raises(ValueError, *values):
        tiny_recipe.change(**{"schedule": schedule, "warmup_epochs": 0, **numbers})


@pytest.mark.parametrize(
    ("phase", "values"),
    [
        (Phase(epochs=1, patience=2), ("patience", "validation_split", 0, 2)),
        (Phase(epochs=1, trainable="conv5"), ("trainable", "head", "conv3", "conv2", "all", "'conv5'")),
        (
            Phase(epochs=1, schedule="plateau", lr_factor=0.5, lr_patience=1),
            ("schedule", "'plateau'", "validation_split", 0),
        ),
    ],
)
def test_a_phase_that_does_not_fit_the_recipe_is_refused(tiny_recipe, phase, values):
    with raises(ValueError, *values):
        tiny_recipe.change(phases=(phase, tiny_recipe.last))


def test_a_recipe_is_no_phase(tiny_recipe):
    with raises(ValueError, "phases", "tuple", "Phase", "(Recipe(name='tiny'"):
        tiny_recipe.change(phases=(tiny_recipe,))


def test_the_names_are_those_of_the_network():
    assert tuple(TABLE_1) == DEPTHS
    assert tuple(FORMS) == FORM_NAMES


def test_weights_and_form_go_with_the_network():
    phases = (Phase(epochs=1),)
    with raises(ValueError, "weights", "'timm/a1_in1k'", "ResNet-18", "ResNet-50"):
        Recipe(name="x", phases=phases, weights="timm/a1_in1k", depth=18)
    with raises(ValueError, "stochastic_depth", 0.2, "plain"):
        Recipe(name="x", phases=phases, form="plain", stochastic_depth=0.2)
    for form in ("plain", "preactivation"):
        with raises(ValueError, "form", "residual", form, "published"):
            Recipe(name="x", phases=phases, form=form, weights="timm/tv_in1k")


def test_the_number_of_layers_is_that_of_the_table_of_stages(tiny_recipe):
    assert tiny_recipe.layers == 2 + 3 * 3
    assert tiny_recipe.change(stages=None, depth=34).layers == 34


def test_a_recipe_of_an_earlier_version_is_of_a_resnet_50(tiny_recipe):
    values = json.loads(tiny_recipe.to_json())
    for name in ("depth", "form", "stochastic_depth"):
        del values[name]
    assert Recipe.from_json(json.dumps(values)) == tiny_recipe


def test_the_stages_of_the_paper_can_be_trained_from():
    for trainable in ("head", "conv5", "conv4", "conv3", "conv2", "all"):
        Recipe(name="x", phases=(Phase(epochs=4, trainable=trainable),))


def test_numbers_of_a_phase_change_the_last_one(tiny_recipe):
    first = Phase(epochs=2, trainable="head")
    recipe = tiny_recipe.change(phases=(first, tiny_recipe.last))
    assert (recipe.last, recipe.epochs) == (tiny_recipe.last, 6)
    changed = recipe.change(learning_rate=0.5, seed=7)
    assert (changed.phases, changed.seed) == ((first, replace(tiny_recipe.last, learning_rate=0.5)), 7)
    assert recipe.lasting(40).phases[:-1] == (first,)
    assert Recipe.from_json(recipe.to_json()) == recipe


def test_numbers_of_the_augmentation_change_it_alone(tiny_recipe):
    changed = tiny_recipe.change(rotation=3, flip=None, epochs=9)
    assert changed.augmentation == Augmentation(shift=0.1, rotation=3, flip=None)
    assert changed == tiny_recipe.change(augmentation=changed.augmentation, epochs=9)
    assert Recipe.from_json(changed.to_json()) == changed
    with raises(ValueError, "flip", "True", "False", "None", 1):
        tiny_recipe.change(flip=1)


@pytest.mark.parametrize("numbers", [{"patience": 1, "swa_epochs": 2}, {"ema": 0.9, "swa_epochs": 2}])
def test_averaging_does_not_go_with_an_early_end_or_a_running_average(tiny_recipe, numbers):
    with raises(ValueError, *numbers, next(iter(numbers.values()))):
        tiny_recipe.change(validation_split=0.2, **numbers)


def test_averaging_does_not_go_with_the_best_epoch(tiny_recipe):
    with raises(ValueError, "swa_epochs", 1, 4, "restore_best", 2):
        tiny_recipe.change(validation_split=0.2, restore_best=True, swa_epochs=2)


def test_weights_bring_their_own_conventions(tiny_recipe):
    with raises(ValueError, "conventions", "None", "weights", "'v1'"):
        tiny_recipe.change(weights="imagenet", conventions="v1")


@pytest.mark.parametrize("name", ["backbone_lr_multiplier", "layer_lr_decay"])
def test_a_head_alone_has_no_rates_below_it(name):
    with raises(ValueError, name, 1, "head", 0.5):
        Phase(epochs=1, trainable="head", **{name: 0.5})


def test_an_unknown_number_is_refused(tiny_recipe):
    with raises(TypeError, "temperature"):
        tiny_recipe.change(temperature=0.9)


def test_a_recipe_of_an_earlier_version_keeps_its_small_last_batch(tiny_recipe):
    values = json.loads(tiny_recipe.to_json())
    assert values.pop("share_last_batch") is True
    assert Recipe.from_json(json.dumps(values)) == tiny_recipe.change(share_last_batch=False)


@pytest.mark.parametrize(
    ("text", "values"),
    [("{", ("JSON", "line 1 column 2")), ("[]", ("phases", "seed", "list")), ('{"name": "x"}', ("seed", "name"))],
)
def test_other_json_is_refused(text, values):
    with raises(ValueError, *values):
        Recipe.from_json(text)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("batch_size", "4", "'4'"),
        ("batch_size", 4.5, "4.5"),
        ("seed", True, "True"),
        ("restore_best", 1, "restore_best"),
        ("name", None, "None"),
        ("augmentation", {"flip": "no"}, "'no'"),
        ("augmentation", {"shake": 1}, "'shake'"),
        ("stages", [1], "int"),
        ("phases", [{"epochs": 1, "speed": 2}], "'speed'"),
    ],
)
def test_json_of_other_types_is_refused(tiny_recipe, name, value, reason):
    values = json.loads(tiny_recipe.to_json())
    with raises(ValueError, reason):
        Recipe.from_json(json.dumps({**values, name: value}))


def test_sgd_has_no_squared_gradients(tiny_recipe):
    with raises(ValueError, "beta_2", 0.999, 0.99, "sgd"):
        tiny_recipe.change(optimizer="sgd", beta_2=0.99)


def test_the_loss_of_shares_and_the_size_of_training_have_their_places(tiny_recipe):
    shares = tiny_recipe.change(loss="binary-cross-entropy", target_threshold=0.2, label_smoothing=0.0)
    with raises(ValueError, "label_smoothing", "target_threshold", 0.1):
        shares.change(label_smoothing=0.1)
    assert tiny_recipe.change(train_image_size=48).train_image_size == 48
    with raises(ValueError, "train_image_size", 48):
        tiny_recipe.change(train_image_size=48, head="flatten")
    with raises(ValueError, "train_image_size", 48):
        tiny_recipe.change(train_image_size=48, phases=(LinearProbe(c_values=(1.0,)), Phase(epochs=1)))
    with raises(ValueError, "train_image_size", 48):
        tiny_recipe.change(train_image_size=48, trainable="head")


def test_a_recipe_of_an_earlier_version_is_of_adamw(tiny_recipe):
    later = ["optimizer", "momentum", "gradient_accumulation_steps", "clip_norm", "loss"]
    later += ["target_threshold", "train_image_size"]
    values = {name: value for name, value in json.loads(tiny_recipe.to_json()).items() if name not in later}
    values["augmentation"] = {"shift": 0.1, "rotation": 10, "flip": True}
    assert Recipe.from_json(json.dumps(values)) == tiny_recipe


def test_another_number_of_epochs_stretches_the_falls_of_a_step_schedule(tiny_recipe):
    recipe = tiny_recipe.change(epochs=90, warmup_epochs=5, schedule="step", lr_factor=0.1, lr_step_epochs=30)
    assert (recipe.lasting(45).last.lr_step_epochs, recipe.lasting(45).last.warmup_epochs) == (15, 2.5)


def test_another_number_of_epochs_stretches_warm_up_and_averaging(tiny_recipe):
    recipe = tiny_recipe.change(epochs=20, warmup_epochs=2, swa_epochs=5)
    assert (recipe.lasting(40).last.warmup_epochs, recipe.lasting(40).swa_epochs) == (4, 10)
    assert (recipe.lasting(1).epochs, recipe.lasting(1).last.warmup_epochs, recipe.lasting(1).swa_epochs) == (1, 0.1, 1)
    assert recipe.change(warmup_epochs=3).lasting(1).last.warmup_epochs == 0.15
    assert recipe.change(swa_epochs=1).lasting(200).swa_epochs == 1


def test_an_augmentation_out_of_range_is_refused():
    with raises(ValueError, "shift", 0.5, 0.6):
        Augmentation(shift=0.6)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [({}, False), ({"restore_best": True}, True), ({"patience": 2}, True)],
)
def test_a_run_that_may_end_early_keeps_its_best_epoch(changes, expected, tiny_recipe):
    assert tiny_recipe.change(validation_split=0.2, **changes).keeps_best is expected


PROBED = {
    "phases": (
        LinearProbe(c_values=(0.5, 2.0)),
        LinearProbe(views=4, min_error=0.1),
        Phase(epochs=4, views=3, min_error=0.2),
    ),
    "validation_split": 0.25,
}


def test_json_gives_linear_probes_back(tiny_recipe):
    recipe = tiny_recipe.change(**PROBED)
    assert Recipe.from_json(recipe.to_json()) == recipe
    probe, _, last = json.loads(recipe.to_json())["phases"]
    assert probe == {"views": 1, "c_values": [0.5, 2.0], "min_error": 0.0}
    assert (last["views"], last["min_error"]) == (3, 0.2)
    assert (recipe.epochs, recipe.last) == (6, PROBED["phases"][2])


def test_a_recipe_of_an_earlier_version_draws_new_changes_and_leaves_nothing_out(tiny_recipe):
    values = json.loads(tiny_recipe.to_json())
    for phase in values["phases"]:
        del phase["views"], phase["min_error"]
    recipe = Recipe.from_json(json.dumps(values))
    assert recipe == tiny_recipe
    assert (recipe.last.views, recipe.last.min_error) == (0, 0)


def test_a_thorough_recipe_leaves_nothing_out(tiny_recipe):
    thorough = tiny_recipe.change(**PROBED).thorough()
    assert thorough.phases == (LinearProbe(c_values=(0.5, 2.0)), LinearProbe(views=4), Phase(epochs=4, views=3))
    assert thorough.thorough() == thorough


def test_without_validation_nothing_is_decided_by_it(tiny_recipe):
    probed = tiny_recipe.change(
        validation_split=0.2,
        restore_best=True,
        phases=(LinearProbe(), LinearProbe(views=4, min_error=0.1), Phase(epochs=4, patience=2, min_error=0.1)),
    )
    recipe = probed.without_validation()
    (c,) = {phase.c_values for phase in recipe.phases[:2]}
    assert recipe.phases == (LinearProbe(c_values=c), LinearProbe(c_values=c, views=4), Phase(epochs=4))
    assert set(c) < set(LinearProbe().c_values)
    assert (recipe.validation_split, recipe.keeps_best) == (0, False)
    assert recipe.without_validation() == recipe


def test_a_further_phase_is_never_left_out_and_the_earlier_ones_stay(tiny_recipe):
    recipe = tiny_recipe.change(**PROBED)
    assert recipe.extended(8).phases == (*PROBED["phases"], Phase(epochs=8, views=3))


def test_views_and_error_of_the_last_phase_change_by_name(tiny_recipe):
    recipe = tiny_recipe.change(**PROBED).change(views=5, min_error=0.3)
    assert recipe.phases == (*PROBED["phases"][:2], Phase(epochs=4, views=5, min_error=0.3))


@pytest.mark.parametrize(
    ("numbers", "values"),
    [
        ({"phases": (LinearProbe(),)}, ("phases", "Phase")),
        ({"phases": (Phase(epochs=1), LinearProbe())}, ("phases", "Phase")),
        ({"phases": (LinearProbe(), Phase(epochs=1)), "head": "norm"}, ("head", "'linear'", "LinearProbe", "'norm'")),
        ({"phases": (LinearProbe(min_error=0.1), Phase(epochs=1))}, ("min_error", "first", 0.1)),
        ({"phases": (Phase(epochs=1, min_error=0.1),)}, ("min_error", "first", 0.1)),
    ],
)
def test_a_phase_out_of_its_place_is_refused(tiny_recipe, numbers, values):
    with raises(ValueError, *values):
        tiny_recipe.change(validation_split=0.25, **numbers)


def test_what_validation_decides_needs_validation(tiny_recipe):
    with raises(ValueError, "c_values", "validation_split", "(0.1, 1.0)"):
        tiny_recipe.change(phases=(LinearProbe(c_values=(0.1, 1.0)), tiny_recipe.last))
    one = tiny_recipe.change(phases=(LinearProbe(c_values=(0.1,)), tiny_recipe.last))
    assert one.phases[0].c_values == (0.1,)
    with raises(ValueError, "min_error", "validation_split", 0.1) as refused:
        one.change(min_error=0.1)
    assert "first" not in str(refused.value)


@pytest.mark.parametrize("phase", [{"views": 0}, {"c_values": 5}, {"c_values": [2, 1]}, {"speed": 2}, {}, "epochs", 5])
def test_json_of_another_phase_is_refused(tiny_recipe, phase):
    values = json.loads(tiny_recipe.change(**PROBED).to_json())
    with raises(ValueError):
        Recipe.from_json(json.dumps({**values, "phases": [values["phases"][0], phase]}))
