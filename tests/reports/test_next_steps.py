"""The rules that lead from results to what to try next."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from factories import dataset, draw_image
from resnet50.audit.issue import Issue
from resnet50.data.splits import DatasetSplits
from resnet50.datasets.source import DataSource
from resnet50.metrics.calibration import TemperatureScaling
from resnet50.metrics.scores import score
from resnet50.recipes import folder
from resnet50.reports.commands import cross_validate_command
from resnet50.reports.next_steps import next_steps
from resnet50.reports.results import Results
from resnet50.reports.training_summary import TrainingSummary

RECIPE = {
    "name": "folder", "phases": [{"epochs": 12}], "weights": "imagenet", "image_size": 96, "stem": "imagenet",
    "stages": None, "mixup": 0.0, "cutmix": 0.0, "weight_decay": 0.02, "validation_split": 0.15,
}  # fmt: skip
FITTED = {"loss": [1.0] * 12, "accuracy": [0.95] * 12, "val_accuracy": [0.93] * 12}
SOURCE = DataSource("folder", "pets")


def results(
    *, recipe=(), history=(), predicted=(0,) * 150 + (1,) * 150, sure=0.99, train=400, validation=100, root=None
):
    """Results on 150 cats and 150 dogs, with nothing to try: fine-tuned, fitted, calibrated, enough images."""
    test = dataset([0] * 150 + [1] * 150)
    probabilities = np.full((300, 2), 1 - sure)
    probabilities[np.arange(300), predicted] = sure
    report = score(probabilities, test)
    training = TrainingSummary("pets", RECIPE | dict(recipe), FITTED | dict(history), SOURCE, model="run")
    held_out = dataset([0, 1] * (validation // 2)) if validation else None
    splits = DatasetSplits(dataset([0, 1] * (train // 2)), test, held_out, root=root)
    return Results(report, splits, training, SOURCE)


def with_report(given, **changes):
    return replace(given, report=replace(given.report, **changes))


def step(given):
    (only,) = next_steps(given)
    return only


def confusing(given_root=None):
    """Results with 20 cats that are predicted as dogs."""
    return results(predicted=[1] * 20 + [0] * 130 + [1] * 150, sure=0.94, root=given_root)


def test_good_results_leave_nothing_to_try():
    assert next_steps(results()) == ()


@pytest.mark.parametrize(("severity", "steps"), [("error", 1), ("warning", 1), ("note", 0)])
def test_serious_data_issues_come_first(severity, steps):
    found = next_steps(with_report(results(), issues=(Issue("leak", severity, "It leaks.", "Fix it."),)))
    assert [(each.section, each.commands) for each in found] == [("data-issues", ("resnet50 check pets",))] * steps


def test_a_linear_probe_that_fits_all_its_images_is_not_overfitted():
    phases = [{"views": 1, "c_values": [1.0], "min_error": 0.0}]
    history = {"loss": [0.0], "accuracy": [1.0], "val_accuracy": [0.7]}
    assert next_steps(results(recipe={"phases": phases}, history=history)) == ()


PROBED = [{"views": 1, "c_values": [1.0], "min_error": 0.0}, {"epochs": 6, "min_error": 0.03}]


def test_a_probe_that_errs_much_is_followed_by_all_layers():
    wrong = [1] * 60 + [0] * 90 + [1] * 110 + [0] * 40  # 200 of 300 are right
    overfitted = {"accuracy": [1.0] * 12, "val_accuracy": [0.7] * 12}
    found = next_steps(results(recipe={"phases": PROBED}, history=overfitted, predicted=wrong, sure=0.7))
    (first,) = (each for each in found if each.section == "training")  # in place of a step against overfitting
    assert first.commands == ("resnet50 train pets --weights imagenet --variant all-layers --image-size 96",)
    assert "66.7%" in first.reason
    assert "all-layers" in folder.VARIANTS


def all_layers_steps(given):
    return [command for each in next_steps(given) for command in each.commands if "all-layers" in command]


def test_other_trainings_are_not_followed_by_all_layers():
    wrong = [1] * 60 + [0] * 90 + [1] * 110 + [0] * 40
    given = results(recipe={"phases": PROBED}, predicted=wrong, sure=0.7)
    assert len(all_layers_steps(given)) == 1
    few_errors = [1] * 40 + [0] * 110 + [1] * 150
    assert not all_layers_steps(results(recipe={"phases": PROBED}, predicted=few_errors, sure=0.7))
    for changes in ({"phases": [{"epochs": 6}]}, {"phases": None}, {"weights": None}):
        assert not all_layers_steps(results(recipe={"phases": PROBED} | changes, predicted=wrong, sure=0.7))
    task = replace(given.training, source=DataSource("leukemia", "cells"))
    assert not all_layers_steps(replace(given, training=task))
    other_images = DatasetSplits(test=given.splits["test"])  # as of resnet50 evaluate --data
    assert not all_layers_steps(replace(given, splits=other_images))


def test_all_layers_keep_what_was_chosen_for_the_images():
    wrong = [1] * 60 + [0] * 90 + [1] * 110 + [0] * 40
    chosen = {"class_weight": "balanced", "augmentation": {"flip": False}, "image_size": 128}
    (command,) = all_layers_steps(results(recipe={"phases": PROBED, **chosen}, predicted=wrong, sure=0.7))
    for words in ("--image-size 128", "--class-weight balanced", "--no-flip"):
        assert words in command


def test_a_training_of_all_layers_is_followed_by_others_of_its_kind():
    recipe = json.loads(folder.ALL_LAYERS.to_json())
    overfitted = {"accuracy": [0.99] * 20, "val_accuracy": [0.5] * 20}
    found = step(results(recipe=recipe, history=overfitted))
    assert "--variant all-layers" in found.commands[0]
    parts = {"accuracy": [0.7] * 20, "val_accuracy": [0.7] * 20}  # of parts of the images: it may have fitted the whole
    assert next_steps(results(recipe=recipe, history=parts)) == ()
    command = cross_validate_command(results(recipe=recipe).training)
    assert "--variant all-layers" in command
    assert command.endswith("--full")


def test_an_error_is_to_be_fixed_and_a_warning_to_be_checked():
    titles = {
        step(with_report(results(), issues=(Issue("leak", severity, "", ""),))).title
        for severity in ("error", "warning")
    }
    assert len(titles) == 2


def test_a_network_from_scratch_may_start_from_pretrained_weights():
    found = step(results(recipe={"weights": None}))
    assert found.commands == ("resnet50 train pets --weights timm/tv_in1k",)
    assert folder.FINE_TUNED.weights == "timm/tv_in1k"
    assert "400" in found.reason


@pytest.mark.parametrize(
    "recipe",
    [{"image_size": 63}, {"stem": "cifar"}, {"stages": [("conv2", 1, (4, 6, 16), 1)]}],
    ids=lambda each: next(iter(each)),
)
def test_pretrained_weights_are_not_named_for_networks_that_they_do_not_suit(recipe):
    assert next_steps(results(recipe={"weights": None, **recipe})) == ()


@pytest.mark.parametrize("task", ["signs", "rendered-signs"])
def test_pretrained_weights_are_not_named_where_a_task_is_better_from_scratch(task):
    given = results(recipe={"weights": None})
    signs = replace(given.training, source=DataSource(task, None))
    assert next_steps(replace(given, training=signs)) == ()


def test_pretrained_weights_are_not_named_for_many_images():
    assert next_steps(results(recipe={"weights": None}, train=10_000)) == ()


def test_overfitting_is_countered_by_mixup_and_then_by_weight_decay():
    overfitted = {"accuracy": [0.99] * 12, "val_accuracy": [float("nan")] * 11 + [0.8]}
    found = step(results(history=overfitted))
    assert found.section == "training"
    assert all(value in found.reason for value in ("99.0%", "80.0%", "validation", "12 epochs"))
    assert found.commands == ("resnet50 train pets --weights imagenet --image-size 96 --epochs 12 --mixup 0.2",)
    blended = step(results(history=overfitted, recipe={"mixup": 0.2}))
    assert blended.commands[0].endswith("--epochs 12 --weight-decay 0.04")


def test_without_validation_images_the_test_images_show_overfitting():
    history = {"accuracy": [0.99] * 12, "val_accuracy": []}
    wrong = [1] * 60 + [0] * 90 + [1] * 150
    reasons = [each.reason for each in next_steps(results(history=history, predicted=wrong, validation=0))]
    assert any("99.0%" in reason and "80.0% on test" in reason for reason in reasons)


@pytest.mark.parametrize(("epochs", "longer"), [(3, 20), (12, 24)])
def test_a_network_that_has_not_fitted_its_images_may_train_longer(epochs, longer):
    given = results(
        history={"accuracy": [0.7] * 12, "val_accuracy": [0.7] * 12}, recipe={"phases": [{"epochs": epochs}]}
    )
    assert step(given).commands[0].endswith(f"--epochs {longer}")
    assert next_steps(replace(given, training=replace(given.training, recipe={**RECIPE, "cutmix": 1.0}))) == ()


def test_a_recommended_temperature_can_be_written():
    scaling = TemperatureScaling(1.5, 100, 0.8, 0.7, 0.01, 0.1)
    found = step(with_report(results(), temperature_scaling=scaling))
    assert found.commands == ("resnet50 evaluate run --calibrate run/calibrated.keras",)
    assert all(value in found.reason for value in ("1.50", "0.800", "0.700", "0.100"))


@pytest.mark.parametrize(("validation", "recipe", "steps"), [(0, {}, 1), (40, {}, 1), (100, {}, 0),
                                                             (40, {"validation_split": 0.0}, 0)])  # fmt: skip
def test_a_miscalibrated_classifier_needs_validation_images(validation, recipe, steps):
    given = results(sure=0.7, validation=validation, recipe=recipe)  # underconfident: all are right
    found = next_steps(given)
    assert [each.section for each in found] == ["calibration"] * steps
    assert all(each.commands[0].endswith("--validation-split 0.15") for each in found)


def test_few_training_images_need_a_larger_share_for_validation():
    given = results(sure=0.7, validation=0, train=120)
    assert step(given).commands[0].endswith("--validation-split 0.45")


def test_a_frequent_confusion_is_explained_on_its_most_confident_image(tmp_path):
    draw_image(tmp_path / "0.png", 0)
    found = step(confusing(tmp_path))
    assert all(name in found.title for name in ("cats", "dogs"))
    assert all(value in found.reason for value in ("20 of 150", "13.3%"))
    assert found.commands == (f"resnet50 explain {tmp_path}/0.png --model run",)


def test_without_files_a_confusion_has_no_command(tmp_path):
    assert step(confusing()).commands == ()
    assert step(confusing(tmp_path)).commands == ()


@pytest.mark.parametrize("wrong", [2, 14])
def test_a_rare_confusion_is_none_to_look_at(wrong):
    given = results(predicted=[1] * wrong + [0] * (150 - wrong) + [1] * 150, sure=0.97)
    assert next_steps(given) == ()


def test_weak_classes_with_few_images_need_more():
    train = dataset([0] * 30 + [1] * 99)
    given = confusing()  # whose lowest F1 is 92.9%
    assert step(replace(given, splits=replace(given.splits, train=train))).section == "confusion"
    worse = results(predicted=[1] * 40 + [0] * 110 + [1] * 150, sure=0.9)
    last = next_steps(replace(worse, splits=replace(worse.splits, train=train)))[-1]
    assert last.section == "classes"
    assert "cats (30 training images, F1 84.6%)" in last.reason
    assert "dogs" not in last.reason
    assert last.commands == ("resnet50 train pets --weights imagenet --image-size 96 --epochs 12",)


def test_a_class_little_below_the_average_is_not_called_weak():
    predicted = [1] * 40 + [0] * 110 + [1] * 115 + [0] * 35  # F1 of 74.6 and 75.4 %
    given = results(predicted=predicted, sure=0.75)
    given = replace(given, splits=replace(given.splits, train=dataset([0] * 30 + [1] * 30)))
    assert "classes" not in [each.section for each in next_steps(given)]


def test_a_classifier_near_the_baseline_has_neither_confused_nor_weak_classes():
    given = results(predicted=[1] * 120 + [0] * 30 + [1] * 150, sure=0.6, train=40)
    assert given.skill == pytest.approx(0.2)
    assert {each.section for each in next_steps(given)} <= {"training", "calibration"}


def test_skill_is_the_share_of_the_mistakes_of_the_baseline_that_are_avoided():
    assert results().skill == 1
    assert results(predicted=[1] * 300).skill == 0
    certain = score(np.array([[0.9, 0.1]]), dataset([0]))  # a single class: there is nothing to avoid
    assert replace(results(), report=certain).skill == 0


def test_without_the_training_images_only_the_report_counts():
    given = results(recipe={"weights": None}, history={"accuracy": [0.5] * 12})
    assert next_steps(replace(given, splits=DatasetSplits(test=given.splits["test"]))) == ()


def test_no_step_is_left_out_where_there_are_many():
    given = results(
        recipe={"weights": None}, history={"val_accuracy": [0.3] * 12}, train=120, validation=0,
        predicted=[1] * 60 + [0] * 90 + [1] * 150, sure=0.99,
    )  # fmt: skip
    given = with_report(given, issues=(Issue("leak", "error", "It leaks.", "Fix it."),))
    sections = [each.section for each in next_steps(given)]
    assert sections == ["data-issues", "training", "training", "calibration", "confusion", "classes"]


def test_no_more_images_are_asked_for_than_half_of_what_there_is():
    """Half of 99 images are fewer than a temperature needs."""
    few = results(train=99, validation=0, predicted=[1] * 60 + [0] * 90 + [1] * 150, sure=0.99)
    assert "calibration" not in [each.section for each in next_steps(few)]
    enough = results(train=100, validation=0, predicted=[1] * 60 + [0] * 90 + [1] * 150, sure=0.99)
    (found,) = (each for each in next_steps(enough) if each.section == "calibration")
    assert "--validation-split 0.5" in found.commands[0]


def test_a_small_test_split_is_no_step_since_the_audit_of_the_source_does_not_show_it():
    given = with_report(results(), issues=(Issue("small-test", "warning", "The test split is small.", "Add images."),))
    assert "data-issues" not in [each.section for each in next_steps(given)]


def test_a_class_without_test_images_is_not_called_weak():
    given = results(train=80, predicted=[0] * 150 + [1] * 120 + [0] * 30)
    classes = {"cats": given.report.classes["cats"], "dogs": replace(given.report.classes["dogs"], support=0, f1=0.0)}
    titles = [each.title for each in next_steps(with_report(given, classes=classes))]
    assert not any("weakest" in title for title in titles)


@pytest.mark.parametrize(
    ("phases", "weights", "options"),
    [
        (PROBED, "imagenet", "--stem cifar"),
        ([{"epochs": 12}], "imagenet", "--epochs 12 --stem cifar --full"),
        ([{"epochs": 12}], None, "--epochs 12 --stem cifar --full"),
    ],
)
def test_few_test_images_are_a_reason_to_cross_validate(phases, weights, options):
    history = {"phase": [1.0] * 12}  # that of the probe, or the only one
    recipe = {"phases": phases, "weights": weights, "stem": "cifar"}
    given = results(recipe=recipe, history=history, train=60, validation=0)
    few = given.splits["test"].select([*range(20), *range(150, 170)])
    probabilities = np.full((40, 2), 0.01)
    probabilities[np.arange(40), few.labels] = 0.99
    splits = DatasetSplits(given.splits.train, few)
    found = next_steps(replace(given, splits=splits, report=score(probabilities, few)))
    (only,) = [each for each in found if "Cross-validate" in each.title]
    assert all(value in only.reason for value in ("40", "100", "91%"))
    assert only.commands == (f"resnet50 crossval pets --weights {weights or 'none'} --image-size 96 {options}",)
    assert ("--full" in only.reason) == (weights is not None and "--full" in options)  # it says what that takes
    assert "Cross-validate" not in "".join(each.title for each in next_steps(given))
