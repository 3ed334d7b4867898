from __future__ import annotations

import json

import pytest

from factories import raises
from resnet50 import Phase, Recipe, list_runs
from resnet50.comparison.runs import changed_numbers, read_run
from resnet50.data.options import ReadOptions
from resnet50.datasets.source import DataSource


def test_a_run_is_read_with_its_scores_time_and_size(write_run):
    run = read_run(write_run("one", [2, 7]))
    assert run.name == "one"
    assert run.seconds == 5
    assert run.model_bytes == 3_000_000
    assert run.scores.accuracy == pytest.approx(0.8)
    assert run.scores.right.tolist() == [True, True, False, True, True, True, True, False, True, True]


def test_seconds_that_are_no_numbers_are_left_out(write_run):
    folder = write_run("one")
    (folder / "history.csv").write_text("epoch,loss,seconds\n1,2,inf\n2,1,nan\n3,1,4\n4,1,1e308\n5,1,-3\n")
    assert read_run(folder).seconds == 4


def test_runs_that_differ_in_their_seed_are_one_group(write_run):
    folder = write_run("a", [0, 1]).parent
    write_run("b", [0, 1, 2, 3], seed=1)
    write_run("c", [0], epochs=5)
    found = list_runs(folder)
    assert [[run.name for run in group.runs] for group in found.groups] == [["a", "b"], ["c"]]
    pair, single = found.groups
    assert pair.name == "a and 1 more"
    assert pair.accuracy == pytest.approx(0.7)
    assert pair.spread == pytest.approx(0.1 * 2**0.5)  # of 0.8 and 0.6
    assert "70.0%" in pair.accuracy_in_words
    assert "14.1" in pair.accuracy_in_words
    assert single.spread is None
    assert "90.0%" in single.accuracy_in_words
    assert "25.0%" in single.accuracy_in_words
    assert found.changes == ({"epochs": 2}, {"epochs": 5})
    assert found.unreadable == ()


def test_equal_runs_of_one_seed_have_no_spread(write_run):
    folder = write_run("a", [0, 1]).parent
    write_run("b", [0, 1])
    (pair,) = list_runs(folder).groups
    assert (pair.spread, pair.seeds) == (None, (0, 0))
    assert "80.0%" in pair.accuracy_in_words
    assert "seeds" not in pair.accuracy_in_words
    write_run("c", [0, 1], seed=1)
    (three,) = list_runs(folder).groups
    assert three.spread == 0
    assert "over 3 runs" in three.accuracy_in_words


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("started", ["late-name", "best", "early-name"]),
        ("name", ["best", "early-name", "late-name"]),
        ("accuracy", ["best", "late-name", "early-name"]),
        ("time", ["early-name", "best", "late-name"]),
        ("size", ["early-name", "best", "late-name"]),
    ],
)
def test_runs_are_sorted(write_run, sort, expected):
    """The group without scores comes last by accuracy."""
    folder = write_run("late-name", [1, 2], epochs=3).parent
    write_run("best", [1], epochs=4, seed=1)
    write_run("early-name", None, epochs=5, seed=2)
    (folder / "early-name" / "history.csv").unlink()
    (folder / "early-name" / "model.keras").unlink()
    with (folder / "late-name" / "history.csv").open("a") as history:
        history.write("3,.6,.9,.5,1,60\n")
    (folder / "late-name" / "model.keras").write_bytes(bytes(9_000_000))
    assert [group.runs[0].name for group in list_runs(folder, sort=sort).groups] == expected


def test_an_unfinished_run_is_listed_as_such(write_run):
    (group,) = list_runs(write_run("a", None).parent).groups
    assert group.accuracy is None
    assert group.accuracy_in_words == "not finished"


def test_a_damaged_run_is_named_and_the_others_are_listed(write_run):
    folder = write_run("good").parent
    (write_run("bad") / "recipe.json").write_text("{")
    found = list_runs(folder)
    assert [group.name for group in found.groups] == ["good"]
    ((place, reason),) = found.unreadable
    assert place == folder / "bad"
    assert "recipe.json" in reason
    assert json.loads(json.dumps(found.to_dict()))["unreadable"][0]["folder"] == str(place)


@pytest.mark.parametrize(
    "change",
    [
        {"mistakes": [{"index": 1}]},  # of two
        {"mistakes": [{"index": 1}, {"index": 1}]},
        {"mistakes": [{"index": 1}, {"index": 10}]},
        {"mistakes": [{"index": 1}, {"index": -1}]},
        {"mistakes": [{"index": 1}, 2]},
        {"accuracy": 2.0},
        {"accuracy": "much"},
        {"interval": [1]},
        {"images": None},
        {"images": float("inf")},
        {"mistakes": [{"index": float("inf")}, {"index": 1}]},
        {"loss": float("nan")},
    ],
)
def test_scores_that_contradict_each_other_are_refused(write_run, change):
    folder = write_run("a", [2, 7])
    report = folder / "report.json"
    report.write_text(json.dumps(json.loads(report.read_text()) | change))
    with raises(ValueError, report):
        read_run(folder)


def test_a_report_that_is_no_json_is_refused(write_run):
    folder = write_run("a")
    (folder / "report.json").write_text("[" * 100_000)
    with raises(ValueError, folder / "report.json"):
        read_run(folder)


def test_a_folder_without_runs_is_refused(tmp_path):
    with raises(FileNotFoundError, tmp_path):
        list_runs(tmp_path)


def test_an_unknown_order_is_refused(write_run):
    with raises(ValueError, "started", "accuracy", "'loss'"):
        list_runs(write_run("a").parent, sort="loss")


def test_numbers_of_phases_and_augmentation_have_names(write_run):
    two = Recipe(name="photos", phases=(Phase(epochs=1, trainable="head"), Phase(epochs=2)))
    first = read_run(write_run("a", recipe=two))
    second = read_run(write_run("b", recipe=two.change(rotation=9, learning_rate=0.5, seed=3)))
    third = read_run(write_run("c"))
    assert changed_numbers([first, second]) == [
        {"phase 2 learning_rate": 1e-3, "rotation": 0},
        {"phase 2 learning_rate": 0.5, "rotation": 9},
    ]
    one, other = changed_numbers([first, third])
    assert one["phase 1 trainable"] == "head"
    assert other["epochs"] == 2
    assert "phase 1 trainable" not in other
    assert (one["phases"], other["phases"]) == (2, 1)
    assert list(one).index("phases") < list(one).index("phase 1 trainable")


def test_a_number_that_tells_most_runs_apart_comes_first(write_run):
    runs = [read_run(write_run(f"{k}", epochs=2 + k, image_size=64 if k else 32)) for k in range(3)]
    assert list(changed_numbers(runs)[0]) == ["epochs", "image_size"]


def test_a_number_that_a_run_has_alone_comes_before_those_of_its_variant(write_run):
    scratch = [write_run(f"scratch-{k}", epochs=4 + k) for k in range(2)]
    tuned = [write_run(f"tuned-{k}", batch_size=8, image_size=64 if k else 32) for k in range(3)]
    changed = changed_numbers([read_run(folder) for folder in (*scratch, *tuned)])
    assert next(iter(changed[2])) == "image_size"  # of one run, where batch_size is that of three
    assert next(iter(changed[0])) == "epochs"


def test_options_of_reading_count(write_run):
    first, second = write_run("a"), write_run("b")
    environment = json.loads((second / "environment.json").read_text())
    options = ReadOptions(corrections="/x/corrections.csv", test_split=0.3)
    environment["data"]["source"] = DataSource("folder", "/photos", options).to_dict()
    (second / "environment.json").write_text(json.dumps(environment))
    assert changed_numbers([read_run(first), read_run(second)]) == [
        {}, {"test_split": 0.3, "corrections": "corrections.csv"},
    ]  # fmt: skip
