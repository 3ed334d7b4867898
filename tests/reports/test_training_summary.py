from __future__ import annotations

import pytest

from resnet50._io.text import duration
from resnet50.data.fit import Fit
from resnet50.reports.training_summary import NONE, TrainingSummary

NAN = float("nan")
PHASES = [
    {"trainable": "head", "epochs": 2, "learning_rate": 0.003, "schedule": "cosine"},
    {"trainable": "conv4", "epochs": 8, "learning_rate": 0.0001, "schedule": "plateau"},
]
PROBES = [
    {"views": 1, "c_values": [0.1, 1.0], "min_error": 0.0},
    {"views": 6, "c_values": [0.1, 1.0], "min_error": 0.05},
    {"trainable": "all", "epochs": 3, "learning_rate": 0.0003, "schedule": "cosine", "min_error": 0.02},
]


def test_the_history_is_summarized():
    history = {"loss": [3.0, 2.0], "val_accuracy": [0.5, NAN], "accuracy": [NAN, NAN], "seconds": [60.4, NAN]}
    summary = TrainingSummary("pets", {}, history)
    assert (summary.epochs, summary.seconds) == (2, 60.4)
    assert (summary.last("loss"), summary.last("val_accuracy")) == (2.0, 0.5)
    assert summary.last("accuracy") is summary.last("val_loss") is None


def test_nothing_is_known_without_a_recipe_and_a_history():
    summary = TrainingSummary("pets", {})
    assert (summary.epochs, summary.seconds, summary.last("loss")) == (0, 0.0, None)
    assert (summary.settings(), summary.phase_rows(), summary.last_phase) == ({}, [], {})


def test_settings_are_named_and_have_units():
    recipe = {
        "name": "folder",
        "weights": None,
        "image_size": 96,
        "fit": Fit(mode="pad").to_dict(),
        "batch_size": 32,
        "seed": 0,
        "validation_split": 0.15,
    }
    settings = TrainingSummary("pets", recipe, {"loss": [1.0], "seconds": [95.0]}).settings()
    assert settings["Recipe"] == "folder"
    assert settings["Pretrained weights"] == NONE
    assert settings["Image size"] == "96 x 96 pixels"
    assert settings["Fit to that size"].startswith("padded")
    assert settings["Batch size"] == "32"
    assert settings["Seed"] == "0"
    assert settings["Held out for validation"].startswith("15%")
    assert settings["Training time"] == "1 min 35 s"
    fine_tuned = TrainingSummary("pets", {"weights": "imagenet", "validation_split": 0.0}).settings()
    assert fine_tuned == {"Pretrained weights": "imagenet"}


@pytest.mark.parametrize(
    ("weights", "shown"), [("timm/tv_in1k", "timm/tv_in1k"), ("/home/someone/mine.safetensors", "mine.safetensors")]
)
def test_weights_in_a_file_are_named_without_their_folder(weights, shown):
    assert TrainingSummary("pets", {"weights": weights}).settings() == {"Pretrained weights": shown}


def test_a_phase_that_ended_early_says_so():
    rows = TrainingSummary("pets", {"phases": PHASES}, {"loss": [1.0] * 5, "phase": [1, 1, 2, 2, 2]}).phase_rows()
    assert [row["epochs"] for row in rows] == ["2", "3 of 8"]
    assert [row["layers"] for row in rows] == ["head only", "conv4 and above"]
    assert [row["learning_rate"] for row in rows] == ["0.003", "0.0001"]
    assert [row["schedule"] for row in rows] == ["cosine", "plateau"]


def test_a_single_phase_has_all_epochs_of_the_history():
    (row,) = TrainingSummary("pets", {"phases": PHASES[1:]}, {"loss": [1.0] * 5}).phase_rows()
    assert row["epochs"] == "5 of 8"
    (row,) = TrainingSummary("pets", {"phases": PHASES[1:]}).phase_rows()
    assert row["epochs"] == "8"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.4, "59 s"), (60, "1 min 0 s"), (3599.6, "1 h 0 min"), (9000, "2 h 30 min")]
)
def test_a_duration_has_two_units(seconds, text):
    assert duration(seconds) == text


def test_a_phase_of_a_recipe_that_was_made_by_hand_has_no_row():
    assert TrainingSummary("pets", {"phases": [{"epochs": 1}]}, {}).phase_rows() == []


def test_phases_have_their_best_validation_accuracy():
    history = {"loss": [1.0] * 4, "phase": [1, 2, 3, 3], "val_accuracy": [0.5, 0.75, 1.0, NAN]}
    summary = TrainingSummary("pets", {"phases": PROBES}, history)
    assert [row["accuracy"] for row in summary.phase_rows()] == [0.5, 0.75, 1.0]
    assert (summary.best_accuracy(), summary.best_accuracy(2)) == (1.0, 0.75)
    summary = TrainingSummary("pets", {"phases": PROBES}, {"loss": [1.0], "phase": [1]})
    assert [row["accuracy"] for row in summary.phase_rows()] == [None, None, None]
    assert summary.best_accuracy() is None


def test_a_linear_probe_has_no_schedule_and_a_phase_may_be_left_out():
    first, second, third = TrainingSummary("pets", {"phases": PROBES}, {"loss": [1.0], "phase": [1]}).phase_rows()
    assert (first["layers"], first["epochs"], first["schedule"], first["learning_rate"]) == ("linear probe", "", "", "")
    assert "6" in second["layers"]
    assert (second["epochs"], third["epochs"]) == ("none", "none")
    assert [row["without_epochs"] for row in (first, second, third)] == [0, 0.05, 0.02]


@pytest.mark.parametrize(
    ("phases", "numbers", "expected"),
    [(PROBES, [1, 2], False), (PROBES, [1, 3, 3], True), (PROBES, [], False), (PHASES, [1], True), ([], [1], True)],
)
def test_linear_probes_are_no_epochs(phases, numbers, expected):
    history = {"loss": [1.0] * len(numbers), "phase": numbers}
    assert TrainingSummary("pets", {"phases": phases}, history).has_epochs is expected


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [({}, False), ({"restore_best": True}, True), ({"phases": [{"patience": 3}]}, True), ({"phases": PROBES}, False)],
)
def test_the_epoch_that_validated_best_may_be_the_model(recipe, expected):
    assert TrainingSummary("pets", recipe).keeps_best is expected


def test_the_epochs_before_an_extension_are_of_the_first_phase():
    phase = {"trainable": "all", "epochs": 2, "learning_rate": 0.1, "schedule": "cosine"}
    none = float("nan")
    history = {
        "loss": [3, 2, 1],
        "accuracy": [0.1, 0.2, 0.3],
        "val_accuracy": [0.5, 0.7, 0.6],
        "phase": [none, none, 2],
    }
    summary = TrainingSummary("signs", {"phases": [phase, {**phase, "epochs": 1}]}, history)
    assert [row["epochs"] for row in summary.phase_rows()] == ["2", "1"]
    assert [row["accuracy"] for row in summary.phase_rows()] == [0.7, 0.6]
