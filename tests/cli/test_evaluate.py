from __future__ import annotations

import html
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from factories import dataset, write_image
from resnet50 import datasets
from resnet50.audit.issue import Issue
from resnet50.data.hdf5 import read_split, write_split
from resnet50.data.loading import load_dataset
from resnet50.data.options import ReadOptions
from resnet50.datasets import folder
from resnet50.datasets.source import DataSource
from resnet50.inference.classifier import Classifier

pytestmark = pytest.mark.slow  # trained runs

FILES = {"report.json", "report.html", "confusion.png", "reliability.png", "mistakes.png", "balance.png"}
CURVES = "curves.png"  # of a run


@pytest.fixture(autouse=True)
def _task(command, tiny_splits, monkeypatch):
    """The tiny task, which also reads the place that is named."""

    def load(path, *, image_size, fit=None, progress=None):
        return tiny_splits if path is None else load_dataset(path, image_size=image_size, progress=progress)

    monkeypatch.setitem(datasets.DATASETS, "tiny", load)


@pytest.fixture(scope="module")
def held_out(tiny_task, train_tiny):
    """The folder of a run that held images out."""
    return train_tiny(tiny_task.RECIPE.change(validation_split=0.25))


def test_a_run_is_scored_on_its_own_test_images(command, numbers, trained):
    status, out, err = command("evaluate", trained)
    assert (status, err) == (0, "")
    first, second, table, *_, last = out.splitlines()
    printed_report = json.loads((trained / "evaluation" / "report.json").read_text())
    assert first.startswith("rendered signs")
    assert {"6", f"{printed_report['accuracy']:.2%}"} <= {*numbers(first)}
    assert {"2", f"{printed_report['macro_f1']:.1%}", f"{printed_report['calibration_error']:.1%}"} <= {
        *numbers(second)
    }
    assert {"precision", "recall", "F1"} <= {*table.split()}
    assert last == str(trained / "evaluation" / "report.html")
    assert {path.name for path in (trained / "evaluation").iterdir()} == FILES | {CURVES}


def test_without_a_name_the_latest_run_is_scored(command, refused, trained, tmp_path):
    refused(["evaluate"], "runs")
    shutil.copytree(trained, tmp_path / "runs" / "one")
    status, out, err = command("evaluate")
    assert (status, err) == (0, f"model: {Path('runs/one')}, the latest run\n")
    assert out.splitlines()[-1] == str(Path("runs/one/evaluation/report.html"))


def test_json_equals_the_runs_report_and_a_report_is_written_beside_the_model(command, trained, files, tmp_path):
    model = tmp_path / "mine.keras"
    model.write_bytes((trained / "model.keras").read_bytes())
    status, out, _ = command("evaluate", model, "--data", files, "--json")
    assert status == 0
    printed_report, there = json.loads(out), json.loads((trained / "report.json").read_text())
    for name in ("accuracy", "interval", "classes", "confusion"):
        assert printed_report[name] == there[name]
    assert printed_report["loss"] == pytest.approx(there["loss"], abs=1e-5)  # the run was scored by Keras
    assert {path.name for path in (tmp_path / "mine-report").iterdir()} == FILES
    assert json.loads((tmp_path / "mine-report" / "report.json").read_text()) == printed_report


def test_images_without_splits_are_all_scored_with_the_classes_of_the_model(command, trained, files, tmp_path):
    test = read_split(files / "test_signs.h5", "test")
    for index, (image, label) in enumerate(zip(test.images, test.labels, strict=True)):
        if label != 1:  # a class that the model knows, but of which there are no images
            write_image(tmp_path / "mine" / test.class_names[label] / f"{index}.png", image)
    status, out, err = command("evaluate", trained, "--data", "mine", "--out", "predicted", "--json")
    assert status == 0
    assert err.startswith("warning: 1 of 6 classes has no test images: 1.")
    printed_report = json.loads(out)
    assert list(printed_report["classes"]) == list("012345")
    assert [scores["support"] for scores in printed_report["classes"].values()] == [1, 0, 1, 1, 1, 1]
    assert {path.name for path in (tmp_path / "predicted").iterdir()} == FILES | {CURVES}


def test_the_scores_of_a_precision_say_so(command, trained):
    status, out, _ = command("evaluate", trained, "--precision", "int8", "--out", "small", "--json")
    assert (status, json.loads(out)["precision"]) == (0, "int8")
    assert "int8" in Path("small/report.html").read_text(encoding="utf-8")
    assert json.loads((trained / "report.json").read_text())["precision"] == "fp32"


def test_a_temperature_is_fitted_in_fp32(refused, trained):
    words = ("evaluate", trained, "--precision", "int8", "--calibrate", "new.keras")
    refused(words, "fp32", "--calibrate", "int8")


@pytest.mark.slow
def test_classes_in_another_order_are_brought_into_the_models(command, trained, files):
    test = read_split(files / "test_signs.h5", "test")
    _, out, _ = command("evaluate", trained, "--data", files, "--json")
    turned = replace(test, labels=5 - test.labels, class_names=tuple("543210"))
    write_split(turned, "turned.h5", "test")
    status, again, _ = command("evaluate", trained, "--data", "turned.h5", "--json")
    assert status == 0
    for name in ("accuracy", "loss", "confusion", "classes"):
        assert json.loads(again)[name] == json.loads(out)[name]


def test_brackets_in_the_name_of_a_class_or_data_set_are_printed_as_they_are(capsys):
    from resnet50.cli.report import show_report
    from resnet50.metrics.scores import score

    names = ("[bold]", "[/]")
    show_report(score(np.eye(2), dataset([0, 1], names, name="[/red]mine")))
    printed = capsys.readouterr().out
    for name in (*names, "[/red]mine", "100.00%"):
        assert name in printed


def test_the_means_say_which_classes_they_are_over_and_a_temperature_what_it_changes(capsys, numbers):
    from resnet50.cli.report import show_report
    from resnet50.metrics.calibration import TemperatureScaling
    from resnet50.metrics.scores import score

    def printed(report):
        show_report(report)
        return capsys.readouterr().out.splitlines()

    def counts(line):
        return [number for number in numbers(line) if "%" not in number]

    report = score(np.array([[0.9, 0.1]]), dataset([0], ("a", "b"), name="mine"))
    first, second, *_ = printed(report)
    assert first.startswith("mine")
    assert numbers(first)[0] == "1"
    assert numbers(second)[:3] == ["100.0%", "100.0%", "1"]
    assert counts(second) == ["1"]
    scaling = TemperatureScaling(2.0, 80, 0.7, 0.6, calibration_error=0.5, loss=1.0)
    assert numbers(printed(replace(report, temperature_scaling=scaling))[2]) == ["2.00", "80", "50.0%", "1.000"]
    assert printed(replace(report, temperature_reason="It ends at its limit.")) == printed(report)
    second = printed(score(np.eye(2), dataset([0, 1], ("a", "b"))))[1]
    assert numbers(second)[:2] == ["100.0%", "100.0%"]
    assert counts(second) == []


@pytest.fixture
def earlier(held_out, tmp_path):
    """The run, as an earlier version left it: its model has no thresholds, and so no temperature of its own."""
    folder = tmp_path / "earlier"
    shutil.copytree(held_out, folder)
    classifier = Classifier.load(folder / "model.keras", runtime="keras")
    replace(classifier, thresholds=None).save(folder / "model.keras")
    return folder


def test_a_calibrated_classifier_has_the_scores_that_its_report_predicted(
    command, refused, numbers, earlier, files, monkeypatch, tmp_path
):
    from resnet50.metrics import calibration

    # as if the six images were enough, and it helped
    monkeypatch.setattr(calibration, "fit_temperature", lambda *_: 1.7)
    monkeypatch.setattr(calibration, "cross_validated_losses", lambda *given: calibration.losses(*given) - 1)

    status, out, err = command("evaluate", earlier, "--calibrate", "calibrated.keras")
    assert (status, err) == (0, "")
    assert out.splitlines()[-1] == "calibrated.keras"
    assert ["1.70", "6"] in [numbers(line)[:2] for line in out.splitlines()]
    recorded = json.loads((earlier / "evaluation" / "report.json").read_text())
    scaled = recorded["temperature_scaling"]
    carried = Classifier.load(tmp_path / "calibrated.keras").metrics
    assert carried["temperature"] == scaled["temperature"]
    assert carried["loss"] == scaled["loss"]
    assert carried["accuracy"] == recorded["accuracy"]

    _, out, _ = command("evaluate", "calibrated.keras", "--data", files, "--json")
    printed_report = json.loads(out)
    assert printed_report["confusion"] == recorded["confusion"]
    assert printed_report["loss"] == pytest.approx(scaled["loss"], rel=1e-4)
    assert printed_report["calibration_error"] == pytest.approx(scaled["calibration_error"], abs=1e-4)
    assert printed_report["loss"] != pytest.approx(recorded["loss"], rel=1e-4)

    refused(("evaluate", earlier, "--calibrate", "calibrated.keras"), "calibrated.keras")


def test_an_impossible_calibration_is_refused_before_any_work(refused, trained, earlier, files, tmp_path):
    model = tmp_path / "m.keras"
    model.write_bytes((trained / "model.keras").read_bytes())
    test = read_split(files / "test_signs.h5", "test")
    write_split(test, tmp_path / "other.h5", "test")
    refused(("evaluate", model, "--calibrate", "x.keras"), model, "--calibrate")
    refused(("evaluate", trained, "--calibrate", "x.h5"), "x.h5", ".keras")
    refused(("evaluate", trained, "--calibrate", "m.keras/x.keras"), "m.keras", "a file")
    refused(("evaluate", trained, "--out", "m.keras"), "m.keras", "a file")
    refused(("evaluate", trained, "--calibrate", "x.keras"), trained, "validation")
    words = ("evaluate", earlier, "--calibrate", "x.keras", "--data", "other.h5")
    refused(words, earlier, "--calibrate")
    assert not list(tmp_path.glob("x.*"))


def test_where_no_temperature_is_offered_none_is_used(refused, earlier, monkeypatch, tmp_path):
    from resnet50.metrics import calibration

    words = ("evaluate", earlier, "--calibrate", "x.keras", "--out", "new/page")
    refused(words, earlier, 50, 6, "new/page")
    monkeypatch.setattr(calibration, "fit_temperature", lambda *_: 1.7)
    monkeypatch.setattr(calibration, "cross_validated_losses", lambda *given: calibration.losses(*given) + 1)
    refused(words, earlier, 10, 6, "new/page")
    assert not (tmp_path / "x.keras").exists()


def test_images_that_cannot_be_scored_are_refused_in_one_line(refused, trained, files, tmp_path):
    test = read_split(files / "test_signs.h5", "test").select(range(3))
    write_split(replace(test, class_names=tuple("uvwxyz")), "others.h5", "test")
    write_split(replace(test, class_names=tuple(f"n{k}" for k in range(12)), labels=np.arange(3)), "many.h5", "test")
    refused(("evaluate", "nowhere.keras"), "nowhere.keras")
    refused(("evaluate", trained, "--data", "nowhere"), "nowhere")
    refused(("evaluate", trained, "--pattern", "x"), "--pattern", "--data")
    words = ("evaluate", trained, "--test-split", "0.2", "--max-unreadable", "0.2")
    refused(words, "--test-split", "--max-unreadable", "--data")
    classes = "0, 1, 2, 3, 4, 5"
    refused(("evaluate", trained, "--data", "others.h5"), "others.h5", classes, "u, v, w, x, y, z")
    message = refused(
        ("evaluate", trained, "--data", "many.h5"), "many.h5", classes, "n0, n1, n2, n3, n4, n5, n6, n7, n8, n9"
    )
    assert "n10" not in message
    assert not (tmp_path / "nowhere-report").exists()


def test_images_that_changed_since_the_training_are_not_scored_unasked(refused, trained, tiny_splits, monkeypatch):
    fewer = replace(tiny_splits, train=tiny_splits.train.select(range(20)))
    monkeypatch.setitem(datasets.DATASETS, "tiny", lambda path, *, image_size, fit=None, progress=None: fewer)
    refused(("evaluate", trained), trained / "model.keras", "--data")


def test_a_test_split_that_changed_since_the_training_is_reported(
    command, numbers, trained, tiny_splits, monkeypatch, tmp_path
):
    fewer = replace(tiny_splits, test=tiny_splits.test.select(range(5)))
    monkeypatch.setitem(datasets.DATASETS, "tiny", lambda path, *, image_size, fit=None, progress=None: fewer)
    status, _, err = command("evaluate", trained, "--out", "o")
    assert status == 0
    first, absent = err.splitlines()
    assert re.fullmatch(rf"warning: .*{re.escape(str(trained / 'report.json'))}.*", first)
    assert absent.startswith("warning: 1 of 6 classes has no test images")
    assert numbers(first) == ["6", "5"]
    issue = json.loads((tmp_path / "o" / "report.json").read_text())["issues"][0]
    assert (issue["kind"], issue["severity"]) == ("changed-test", "warning")
    images = (trained / "images.csv").rename(tmp_path / "images.csv")  # a run of an earlier version
    try:
        err = command("evaluate", trained, "--out", "o")[2]
        first, _ = err.splitlines()
        assert first.startswith("warning: ")
        assert numbers(first) == ["5"]
    finally:
        images.rename(trained / "images.csv")


def test_a_task_that_is_not_known_needs_data(refused, trained, monkeypatch, tmp_path):
    monkeypatch.delitem(datasets.DATASETS, "tiny")
    model = tmp_path / "model.keras"
    model.write_bytes((trained / "model.keras").read_bytes())
    refused(("evaluate", model), "model.keras", "'tiny'", "--data")


@pytest.fixture
def scored(monkeypatch):
    """The paths of the images of each report that is written from now on."""
    from resnet50.reports import report

    write, seen = report.write_report, []

    def recording(out, classifier, splits, **others):
        seen.append(set(splits["test"].paths))
        return write(out, classifier, splits, **others)

    monkeypatch.setattr(report, "write_report", recording)
    return seen


@pytest.fixture(scope="module")
def trained_on_plants(tiny_task, tmp_path_factory):
    """A folder with thirty images of two classes of noise, bright and dark, and a run on 18 of them."""
    from resnet50.training.train import train

    base, rng = tmp_path_factory.mktemp("base"), np.random.default_rng(0)
    for name, low in (("bright", 128), ("dark", 0)):
        for number in range(15):
            pixels = rng.integers(low, low + 128, (40, 44, 3), dtype=np.uint8)
            write_image(base / "plants" / name / f"{number:02}.png", pixels)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RESNET50_CACHE", str(base / "cache"))
        patch.setitem(datasets.DATASETS, "own", folder.load)
        source = DataSource("own", str(base / "plants"), ReadOptions(test_split=0.4))
        recipe = tiny_task.RECIPE.change(name="own", epochs=1)
        train(recipe, source.load(32), out=base / "run", source=source, progress=False)
    return base


@pytest.fixture
def plants(trained_on_plants, tmp_path):
    """The images in a folder of their own, with the run beside it that knows them by this place."""
    for name in ("plants", "run"):
        shutil.copytree(trained_on_plants / name, tmp_path / name)
    record = tmp_path / "run" / "environment.json"
    record.write_text(record.read_text().replace(str(trained_on_plants), str(tmp_path)))
    return tmp_path / "plants"


@pytest.fixture
def own(command, plants, monkeypatch):
    """What the run was trained on."""
    monkeypatch.setitem(datasets.DATASETS, "own", folder.load)
    paths = set(DataSource("own", str(plants), ReadOptions(test_split=0.4)).load(32).train.paths)
    assert len(paths) == 18
    return paths


@pytest.mark.slow
def test_nothing_that_was_trained_on_is_scored(command, refused, own, scored, plants, tmp_path):
    model = tmp_path / "run" / "model.keras"
    copy = tmp_path / "copy.keras"
    copy.write_bytes(model.read_bytes())
    (tmp_path / "link.keras").symlink_to(model)
    pattern = ("--pattern", "(?P<class>bright|dark)/")
    for words in (
        ("run",),
        ("run", "--data", plants),
        ("run", "--data", plants, *pattern),
        ("run", "--data", plants, "--test-split", "0.4", "--max-unreadable", "0.5"),
        ("run/model.keras",),
        ("run/model.keras", "--data", plants),
        ("run/model.keras", "--data", plants, *pattern),
        ("link.keras", "--data", plants),
        ("copy.keras", "--data", plants, "--test-split", "0.4"),
        ("copy.keras", "--data", plants, "--test-split", "0.4", *pattern),
    ):
        status, _, err = command("evaluate", *words)
        assert (status, err) == (0, ""), words
        assert len(scored[-1]) == 12, words
        assert not scored[-1] & own, words
    assert {path.name for path in (tmp_path / "run" / "evaluation").iterdir()} == FILES | {CURVES}
    refused(("evaluate", "run/model.keras", "--calibrate", "new.keras"), "validation")  # and not: expected a run


def test_a_warning_says_that_training_images_may_be_scored(command, refused, numbers, own, scored, tmp_path):
    (tmp_path / "copy.keras").write_bytes((tmp_path / "run" / "model.keras").read_bytes())
    status, _, err = command("evaluate", "copy.keras", "--data", "plants")
    assert status == 0
    assert re.fullmatch(r"warning: .*\bplants\b.*\n", err)
    assert numbers(err) == ["30"]
    first = json.loads((tmp_path / "copy-report" / "report.json").read_text())["issues"][0]
    assert (first["kind"], first["severity"]) == ("unknown-training", "warning")
    assert first["summary"] in html.unescape((tmp_path / "copy-report" / "report.html").read_text())
    assert own <= scored[-1]
    refused(("evaluate", "copy.keras", "--data", "plants", "--test-split", "0.3"), "plants", "--test-split", 0.3)


def test_a_run_identifies_its_images_in_any_folder(command, numbers, own, plants, tmp_path):
    status, _, err = command("evaluate", "run", "--data", plants)
    assert (status, err) == (0, "")
    elsewhere = tmp_path / "elsewhere"
    for name in ("bright", "dark"):
        (elsewhere / name).mkdir(parents=True)
        for number in range(10):
            (elsewhere / name / f"new {number}.png").write_bytes((plants / name / f"{number:02}.png").read_bytes())
    known = sum(f"{name}/{number:02}.png" in own for name in ("bright", "dark") for number in range(10))
    assert 0 < known < 20
    status, _, err = command("evaluate", "run", "--data", "elsewhere")
    assert status == 1
    assert re.fullmatch(r"error: .*\breport\.json\b.*\n", err)
    assert numbers(err) == [str(known), "20", f"{known / 20:.1%}"]
    issues = json.loads((tmp_path / "run" / "evaluation" / "report.json").read_text())["issues"]
    (first,) = (issue for issue in issues if issue["kind"] == "in-training")
    assert {of["path"] for _, of in first["examples"]} <= own
    assert len(first["examples"]) == known
    assert first["summary"] in html.unescape((tmp_path / "run" / "evaluation" / "report.html").read_text())

    write_image(plants / "bright" / "one more.png", "white", size=(40, 40))  # which moves its own cut
    assert numbers(command("evaluate", "run", "--data", plants)[2])[:2] == ["18", "31"]
    for name in ("bright", "dark"):
        for number in range(10):
            if f"{name}/{number:02}.png" in own:
                (elsewhere / name / f"new {number}.png").unlink()
    status, _, err = command("evaluate", "run", "--data", "elsewhere")
    assert (status, err) == (0, "")

    (tmp_path / "run" / "images.csv").unlink()  # a run of an earlier version
    err = command("evaluate", "run", "--data", plants)[2]
    assert re.fullmatch(rf"warning: .*{re.escape(str(plants))}.*\n", err)
    assert numbers(err) == ["31"]


def test_images_that_moved_can_be_named(command, refused, own, plants, tmp_path):
    plants.rename(tmp_path / "moved")
    refused(("evaluate", "run"), plants, "--data")
    status, _, err = command("evaluate", "run", "--data", "moved")
    assert (status, err) == (0, "")


def test_scores_are_wrapped_at_80_columns(capsys, monkeypatch):
    from resnet50.cli.report import show_report
    from resnet50.metrics.scores import score

    monkeypatch.setenv("COLUMNS", "80")
    show_report(score(np.eye(2), dataset([0, 1], name="a dataset with a name of some words")))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert "accuracy 100.00%" in " ".join(lines)


def test_a_class_without_images_has_no_shares(capsys):
    from resnet50.cli.report import show_report
    from resnet50.metrics.scores import score

    show_report(score(np.eye(3)[:2], dataset([0, 1], ("cats", "dogs", "owls"))))
    rows = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()[-3:]}
    assert rows == {"cats": ["100.0%"] * 3 + ["1"], "dogs": ["100.0%"] * 3 + ["1"], "owls": ["0"]}


def test_what_makes_averaged_scores_unreliable_is_printed(command, monkeypatch):
    issue = Issue("unknown-training", "warning", "photos has no test split.", "Evaluate new images.")
    result = SimpleNamespace(evaluation=SimpleNamespace(warnings=(issue,)), to_json=lambda: "{}")
    monkeypatch.setattr("resnet50.comparison.averaging.evaluate_averaged", lambda *_, **__: result)
    assert command("evaluate", "a", "b", "--json") == (0, "{}\n", f"warning: {issue.summary} {issue.advice}\n")


def test_several_runs_are_averaged(command, refused, held_out, trained, tmp_path):
    twin = shutil.copytree(held_out, tmp_path / "twin")
    status, out, _ = command("evaluate", held_out, twin, "--out", tmp_path / "together")
    assert status == 0
    assert "averaging 2 predictions" in out
    assert "+0.0 points" in out  # of a run with its copy
    assert out.splitlines()[-1] == str(tmp_path / "together" / "report.html")
    printed = json.loads(command("evaluate", held_out, twin, "--out", tmp_path / "together", "--json")[1])
    assert printed["averaged"]["accuracies"] == [printed["accuracy"]] * 2
    assert (printed["averaged"]["difference"], printed["averaged"]["passes"]) == (0, 2)
    refused(("evaluate", held_out, trained, "--calibrate", "x.keras"), "--data", "--out", "--calibrate")
    refused(("evaluate", held_out, "--tta"), held_out, "--tta")  # trained without changes
