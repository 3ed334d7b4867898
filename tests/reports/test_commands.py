"""Commands with real places, each read again by the parser of the command line."""

from __future__ import annotations

import shlex
from dataclasses import asdict, replace

import pytest

from factories import draw_image
from resnet50.cli import build_parser
from resnet50.data.fit import Fit
from resnet50.data.options import ReadOptions
from resnet50.datasets.source import DataSource
from resnet50.reports.commands import (
    calibrate_command,
    check_command,
    cross_validate_command,
    explain_command,
    fine_tune_command,
    train_command,
)
from resnet50.reports.training_summary import TrainingSummary

PETS = DataSource("folder", "/data/my pets", ReadOptions(pattern=r"(?P<class>\w+)_", test_split=0.3))
TRAINING = TrainingSummary(
    "pets", {"weights": None, "image_size": 96, "phases": [{"epochs": 5}, {"epochs": 40}]}, {}, PETS, model="runs/one"
)


def read(command: str):
    """What the command line reads from a command."""
    program, *words = shlex.split(command)
    assert program == "resnet50"
    return build_parser(words).parse_args(words)


def test_a_source_is_audited_at_its_place():
    assert check_command(DataSource("rendered-signs")) == "resnet50 check rendered-signs"
    assert check_command(DataSource("rocks", "/r")) == "resnet50 check rocks --data /r"
    options = read(check_command(PETS))
    assert (options.source, options.pattern, options.test_split) == ("/data/my pets", r"(?P<class>\w+)_", 0.3)


def test_images_are_audited_at_the_size_and_fit_at_which_a_training_compared_them():
    assert "--image-size" not in check_command(PETS, TRAINING)  # 96 is what check takes by itself
    recipe = TRAINING.recipe | {"image_size": 224, "fit": asdict(Fit(mode="pad"))}
    options = read(check_command(PETS, replace(TRAINING, recipe=recipe)))
    assert (options.source, options.image_size, options.fit) == ("/data/my pets", 224, "pad")


@pytest.mark.parametrize("name", ["rocks", "-x"])
def test_a_folder_is_not_mistaken_for_a_task_or_an_option(name):
    assert check_command(DataSource("folder", name)) == f"resnet50 check ./{name}"


def test_a_training_is_repeated_with_another_number():
    options = read(train_command(TRAINING, epochs=80, weight_decay=0.04))
    assert (options.task, options.pattern, options.test_split) == ("/data/my pets", r"(?P<class>\w+)_", 0.3)
    assert (options.weights, options.image_size, options.epochs, options.weight_decay) == ("none", 96, 80, 0.04)
    assert read(train_command(TRAINING)).epochs == 40


@pytest.mark.parametrize("command", [train_command, cross_validate_command])
def test_the_phases_of_a_training_are_repeated(command):
    phases = [{"epochs": 5, "trainable": "head"}, {"epochs": 7, "trainable": "conv5"}]
    recipe = {"weights": "imagenet", "image_size": 224, "head": "mlp", "phases": phases}
    trained = replace(TRAINING, recipe=recipe, history={"loss": [1.0] * 12, "phase": [1] * 5 + [2] * 7})
    options = read(command(trained))
    assert (options.epochs, options.trainable, options.head_epochs, options.head) == (7, "conv5", 5, "mlp")
    assert getattr(options, "full", True)


def test_linear_probes_are_cross_validated_without_a_training():
    phases = [{"c_values": [1.0], "views": 1}, {"epochs": 6, "trainable": "all", "min_error": 0.03}]
    recipe = {"weights": "imagenet", "image_size": 224, "phases": phases}
    probed = replace(TRAINING, recipe=recipe, history={"loss": [1.0], "phase": [1]})
    options = read(cross_validate_command(probed))
    assert (options.full, options.epochs, options.trainable) == (False, None, None)
    longer = replace(probed, history={"loss": [1.0] * 7, "phase": [1] + [2] * 6})
    options = read(cross_validate_command(longer))
    assert (options.full, options.epochs, options.trainable, options.head_epochs) == (True, 6, None, None)


@pytest.mark.parametrize(("errors", "thorough", "min_error"), [((0, 0.05, 0.03), None, None), ((0, 0, 0), True, None),
                                                               ((0, 0.05, 1), None, 1)])  # fmt: skip
def test_a_training_that_leaves_out_no_phase_or_the_last_is_repeated_so(errors, thorough, min_error):
    probes = [
        {"c_values": [1.0], "views": views, "min_error": error} for views, error in zip((1, 8), errors, strict=False)
    ]
    recipe = {"weights": "imagenet", "phases": [*probes, {"epochs": 6, "trainable": "all", "min_error": errors[-1]}]}
    options = read(train_command(replace(TRAINING, recipe=recipe)))
    assert (options.thorough, options.min_error) == (thorough, min_error)
    assert options.epochs == (None if min_error else 6)


@pytest.mark.parametrize("command", [train_command, cross_validate_command])
def test_options_without_a_value_are_typed_without_one(command):
    chosen = ReadOptions(groups=True, near_duplicates=False)
    options = read(command(replace(TRAINING, source=DataSource("folder", "/data/pets", chosen))))
    assert (options.groups, options.near_duplicates) == (True, False)


@pytest.mark.parametrize("command", [train_command, cross_validate_command])
def test_network_and_fit_are_those_of_the_training(command):
    network = {"depth": 18, "form": "residual", "stem": "cifar", "head": "norm"}
    fit = asdict(Fit(mode="pad", pad_color="#000000", value_range=(0, 9)))
    options = read(command(replace(TRAINING, recipe=TRAINING.recipe | network | {"fit": fit})))
    assert (options.depth, options.form, options.stem, options.head) == (18, None, "cifar", "norm")
    assert (options.fit, options.pad_color, options.crop_ratio, options.value_range) == ("pad", "#000000", None, None)


@pytest.mark.parametrize(("crop_ratio", "named"), [(0.875, None), (1.0, 1.0)])
def test_the_fit_of_published_weights_is_not_named(crop_ratio, named):
    fit = asdict(Fit(crop_ratio=crop_ratio, resampling="bilinear"))
    recipe = {"weights": "timm/tv_in1k", "image_size": 224, "head": "norm", "fit": fit}
    options = read(cross_validate_command(replace(TRAINING, recipe=recipe)))
    assert (options.crop_ratio, options.resampling, options.head, options.full) == (named, None, None, False)
    pad = asdict(Fit(mode="pad", resampling="bilinear"))
    options = read(cross_validate_command(replace(TRAINING, recipe=recipe | {"fit": pad})))
    assert (options.fit, options.crop_ratio) == ("pad", None)


def test_what_is_not_known_of_a_training_is_left_out():
    assert train_command(TrainingSummary("signs", {}, {}, DataSource("rendered-signs"))) == (
        "resnet50 train rendered-signs --weights none"
    )


def test_published_weights_are_fine_tuned_by_the_recipe_for_that():
    train = fine_tune_command(TRAINING, "imagenet")
    assert (read(train).task, read(train).weights, read(train).epochs) == ("/data/my pets", "imagenet", None)
    padded = replace(TRAINING, recipe=TRAINING.recipe | {"fit": asdict(Fit(mode="pad"))})
    assert (read(train).fit, read(fine_tune_command(padded, "imagenet")).fit) == (None, "pad")


def test_without_a_place_of_the_images_or_the_model_there_is_no_command(tmp_path):
    unknown = replace(TRAINING, source=None, model=None)
    draw_image(tmp_path / "a.png", 0)
    assert train_command(unknown) == ""
    assert fine_tune_command(unknown, "imagenet") == ""
    assert calibrate_command(unknown, PETS) == ""
    assert explain_command(unknown, tmp_path / "a.png") == ""


@pytest.mark.parametrize(("model", "out"), [("runs/one", "runs/one/calibrated.keras"),
                                            ("runs/one/model.keras", "runs/one/model-calibrated.keras")])  # fmt: skip
def test_the_calibrated_classifier_is_written_beside_the_model(model, out):
    options = read(calibrate_command(replace(TRAINING, model=model), PETS))
    assert (options.model, options.data, options.calibrate) == ([model], None, out)


def test_images_in_another_place_than_the_training_recorded_are_named():
    moved = replace(PETS, path="/new/pets")
    options = read(calibrate_command(TRAINING, moved))
    assert (options.data, options.pattern, options.test_split) == ("/new/pets", None, None)
    other = replace(moved, options=replace(PETS.options, max_unreadable=0.5))
    assert read(calibrate_command(TRAINING, other)).max_unreadable == 0.5


def test_an_image_is_explained_where_it_is_a_file(tmp_path):
    image = draw_image(tmp_path / "my cat.png", 0)
    options = read(explain_command(TRAINING, image))
    assert (options.image, options.model) == (str(image), "runs/one")
    assert explain_command(TRAINING, tmp_path / "train.h5#3") == ""


def test_a_place_that_a_page_cannot_show_has_no_command():
    assert check_command(DataSource("folder", "a\x1bb")) == ""
    assert check_command(DataSource("folder", "a\udcffb")) == ""


def test_images_below_the_current_folder_are_named_from_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    image = draw_image(tmp_path / "pets" / "a.png", 0)
    assert check_command(DataSource("folder", str(tmp_path / "pets"))) == "resnet50 check pets"
    assert explain_command(TRAINING, image) == "resnet50 explain pets/a.png --model runs/one"


def test_values_that_begin_with_a_dash_are_no_options():
    odd = DataSource("folder", "-data", ReadOptions(pattern="-(?P<class>a)"))
    options = read(check_command(odd))
    assert (options.source, options.pattern) == ("./-data", "-(?P<class>a)")
    training = replace(TRAINING, recipe=TRAINING.recipe | {"weights": "-w.h5"}, source=odd, model="-run")
    assert read(train_command(training)).weights == "-w.h5"
    options = read(calibrate_command(training, odd))
    assert (options.model, options.calibrate) == (["./-run"], "./-run/calibrated.keras")
