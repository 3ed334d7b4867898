from __future__ import annotations

import json
import types
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from resnet50 import recipes
from resnet50.data.hdf5 import read_part, write_part
from resnet50.recipes import folder

FILES = {"report.json", "report.html", "confusion.png", "reliability.png", "mistakes.png", "balance.png"}


@pytest.fixture(autouse=True)
def _task(command, tiny_task, monkeypatch):
    """The tiny task, which also reads the place that is named."""
    from resnet50.data.pictures import load_pictures

    def load(data, *, side, progress=None):
        return tiny_task.load(None) if data is None else load_pictures(data, side=side, progress=progress)

    monkeypatch.setitem(recipes.RECIPES, "tiny", types.SimpleNamespace(**{**vars(tiny_task), "load": load}))


@pytest.fixture(scope="module")
def held_out(tiny_task, tmp_path_factory):
    """The folder of a run that held pictures out, of which some are taken for another class."""
    from resnet50.training.fit import train

    recipe = replace(tiny_task.RECIPE, validation=0.25)
    return train(recipe, tiny_task.load(None), out=tmp_path_factory.mktemp("held") / "run").folder.path


def test_a_run_is_scored_on_its_own_test_pictures(command, trained):
    status, out, err = command("evaluate", trained)
    assert (status, err) == (0, "")
    first, second, table, *_, last = out.splitlines()
    assert first.startswith("rendered signs, 6 pictures: accuracy ")
    assert second.startswith("top 2 ")
    assert "calibration error" in second
    assert table.split() == ["class", "precision", "recall", "F1", "pictures"]
    assert last == str(trained / "evaluation" / "report.html")
    assert {path.name for path in (trained / "evaluation").iterdir()} == FILES


def test_json_equals_the_runs_report_and_a_report_stands_beside_the_model(command, trained, files, tmp_path):
    model = tmp_path / "mine.keras"
    model.write_bytes((trained / "model.keras").read_bytes())
    status, out, _ = command("evaluate", model, "--data", files, "--json")
    assert status == 0
    told, there = json.loads(out), json.loads((trained / "report.json").read_text())
    for name in ("accuracy", "interval", "loss", "classes", "confusion"):
        assert told[name] == there[name]
    assert {path.name for path in (tmp_path / "mine-report").iterdir()} == FILES
    assert json.loads((tmp_path / "mine-report" / "report.json").read_text()) == told


def test_pictures_without_parts_are_all_scored_with_the_classes_of_the_model(command, trained, files, tmp_path):
    test = read_part(files / "test_signs.h5", "test")
    for index, (image, label) in enumerate(zip(test.images, test.labels, strict=True)):
        if label != 1:  # a class that the model knows, but of which there are no pictures
            folder = tmp_path / "mine" / test.class_names[label]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(folder / f"{index}.png")
    status, out, err = command("evaluate", trained, "--data", "mine", "--out", "said", "--json")
    assert status == 0
    assert err.startswith("warning: mine has no test part that is known: all 5 pictures are scored, and the classifier")
    told = json.loads(out)
    assert list(told["classes"]) == list("012345")
    assert [scores["support"] for scores in told["classes"].values()] == [1, 0, 1, 1, 1, 1]
    assert {path.name for path in (tmp_path / "said").iterdir()} == FILES


def test_classes_in_another_order_are_brought_into_the_models(command, trained, files):
    test = read_part(files / "test_signs.h5", "test")
    _, out, _ = command("evaluate", trained, "--data", files, "--json")
    turned = replace(test, labels=5 - test.labels, class_names=tuple("543210"))
    write_part(turned, "turned.h5", "test")
    status, again, _ = command("evaluate", trained, "--data", "turned.h5", "--json")
    assert status == 0
    for name in ("accuracy", "loss", "confusion", "classes"):
        assert json.loads(again)[name] == json.loads(out)[name]


def test_brackets_in_the_name_of_a_class_or_data_set_are_printed_as_they_are(capsys):
    from resnet50.cli.progress import show_report
    from resnet50.data.split import Split
    from resnet50.evaluation.report import score

    names = ("[bold]", "[/]")
    split = Split(np.zeros((2, 4, 4, 3), np.uint8), np.array([0, 1]), names, ("a", "b"), "[/red]mine")
    show_report(score(np.eye(2), split))
    printed = capsys.readouterr().out
    for name in (*names, "[/red]mine, 2 pictures: accuracy 100.00%"):
        assert name in printed


def test_a_calibrated_classifier_has_the_scores_that_were_foretold(command, held_out, files, tmp_path):
    from resnet50.classifier import Classifier

    status, out, err = command("evaluate", held_out, "--calibrate", "calibrated.keras")
    assert (status, err) == (0, "")
    assert out.splitlines()[-1] == "calibrated.keras"
    assert "fitted on 6 validation pictures: calibration error" in out
    foretold = json.loads((held_out / "evaluation" / "report.json").read_text())
    scaled = foretold["scaled"]
    carried = Classifier.load(tmp_path / "calibrated.keras").metrics
    assert carried["temperature"] == scaled["temperature"]
    assert carried["loss"] == scaled["loss"]
    assert carried["accuracy"] == foretold["accuracy"]

    _, out, _ = command("evaluate", "calibrated.keras", "--data", files, "--json")
    told = json.loads(out)
    assert told["confusion"] == foretold["confusion"]
    assert told["loss"] == pytest.approx(scaled["loss"], rel=1e-4)
    assert told["calibration_error"] == pytest.approx(scaled["calibration_error"], abs=1e-4)
    assert told["loss"] != pytest.approx(foretold["loss"], rel=1e-4)

    status, _, err = command("evaluate", held_out, "--calibrate", "calibrated.keras")
    assert status == 2
    assert err == ("resnet50 evaluate: calibrated.keras: there is a file already; remove it, or choose another name.\n")


def test_what_cannot_be_calibrated_is_said_before_any_work(command, trained, held_out, files, tmp_path):
    model = tmp_path / "m.keras"
    test = read_part(files / "test_signs.h5", "test")
    write_part(test, tmp_path / "other.h5", "test")
    for words, text in [
        (
            (model, "--calibrate", "x.keras"),
            f"{model}: --calibrate needs the folder of a run, which says what was held ",
        ),
        ((trained, "--calibrate", "x.h5"), "x.h5: the name of a classifier must end in .keras."),
        ((trained, "--calibrate", "x.keras"), f"{trained}: needed validation pictures to fit a temperature on, but "),
        (
            (held_out, "--calibrate", "x.keras", "--data", "other.h5"),
            f"{held_out}: --calibrate needs the pictures that the run was trained on, found others.",
        ),
    ]:
        status, out, err = command("evaluate", *words)
        assert (status, out) == (2, "")
        assert err.startswith(f"resnet50 evaluate: {text}")
        assert err.count("\n") == 1
    assert not list(tmp_path.glob("x.*"))


def test_where_every_validation_picture_is_right_there_is_no_temperature(
    command, held_out, tiny_task, monkeypatch, tmp_path
):
    from resnet50 import report

    monkeypatch.setattr(report, "_scaled", lambda *_: None)
    status, _, err = command("evaluate", held_out, "--calibrate", "x.keras", "--out", "o")
    assert status == 2
    assert err == (
        f"resnet50 evaluate: {held_out}: no temperature can be fitted, since every validation picture is right; the "
        "report is in o.\n"
    )
    assert not (tmp_path / "x.keras").exists()


def test_what_cannot_be_scored_is_said_in_one_line(command, trained, files, tmp_path):
    test = read_part(files / "test_signs.h5", "test").take(range(3))
    write_part(replace(test, class_names=tuple("uvwxyz")), "others.h5", "test")
    write_part(replace(test, class_names=tuple(f"n{k}" for k in range(12)), labels=np.arange(3)), "many.h5", "test")
    for words, text in [
        (("nowhere.keras",), "nowhere.keras: needed a classifier (.keras), found nothing there"),
        ((trained, "--data", "nowhere"), "nowhere: "),
        ((trained, "--pattern", "x"), "--pattern says how --data is read: name that too.\n"),
        (
            (trained, "--test", "0.2", "--most-unreadable", "0.2"),
            "--test, --most-unreadable say how --data is read: name that too.\n",
        ),
        (
            (trained, "--data", "others.h5"),
            "others.h5: needed pictures of the classes 0, 1, 2, 3, 4, 5, found others: u, v, w, x, y, z.\n",
        ),
        (
            (trained, "--data", "many.h5"),
            "many.h5: needed pictures of the classes 0, 1, 2, 3, 4, 5, found others: n0, n1, n2, n3, n4, n5, n6, n7, "
            "n8, n9, ….\n",
        ),
    ]:
        status, out, err = command("evaluate", *words)
        assert (status, out) == (2, "")
        assert err.startswith(f"resnet50 evaluate: {text}")
        assert err.count("\n") == 1
    assert not (tmp_path / "nowhere-report").exists()


def test_pictures_that_changed_since_the_training_are_not_scored_unasked(command, trained, tiny_task, monkeypatch):
    parts = tiny_task.load(None)
    fewer = replace(parts, training=parts.training.take(range(20)))
    other = types.SimpleNamespace(**{**vars(tiny_task), "load": lambda data, **_: fewer})
    monkeypatch.setitem(recipes.RECIPES, "tiny", other)
    status, _, err = command("evaluate", trained)
    assert status == 2
    assert err == (
        f"resnet50 evaluate: {trained / 'model.keras'}: the pictures that it was trained on are others by now, so that "
        "some of them may be in the test part; name what to score by --data.\n"
    )


def test_a_recipe_that_is_not_known_needs_data(command, trained, monkeypatch):
    monkeypatch.delitem(recipes.RECIPES, "tiny")
    status, _, err = command("evaluate", trained / "model.keras")
    assert status == 2
    assert err.endswith("model.keras: its recipe 'tiny' is not known here; name the --data.\n")


@pytest.fixture
def scored(monkeypatch):
    """What each report that is written from now on is on."""
    from resnet50 import report

    write, seen = report.write_report, []

    def told(out, classifier, test, **others):
        seen.append(set(test.sources))
        return write(out, classifier, test, **others)

    monkeypatch.setattr(report, "write_report", told)
    return seen


@pytest.fixture
def plants(tmp_path):
    """Thirty pictures of two classes of noise, bright and dark."""
    rng = np.random.default_rng(0)
    for name, low in (("bright", 128), ("dark", 0)):
        (tmp_path / "plants" / name).mkdir(parents=True)
        for number in range(15):
            pixels = rng.integers(low, low + 128, (40, 44, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "plants" / name / f"{number:02}.png")
    return tmp_path / "plants"


@pytest.fixture
def own(command, tiny_task, plants, monkeypatch):
    """What a run on these pictures, of which 0.4 were kept for the test, was trained on."""
    from resnet50.data.pictures import load_pictures

    recipe = replace(tiny_task.RECIPE, name="own", epochs=1)
    task = types.SimpleNamespace(__doc__="Own.", RECIPE=recipe, VARIANTS={"scratch": recipe}, load=folder.load)
    monkeypatch.setitem(recipes.RECIPES, "own", task)
    assert command("train", "own", "plants", "--test", "0.4", "--out", "run")[0] == 0
    sources = set(load_pictures(plants, side=32, test=0.4).training.sources)
    assert len(sources) == 18
    return sources


def test_nothing_that_was_trained_on_is_scored(command, own, scored, plants, tmp_path):
    model = tmp_path / "run" / "model.keras"
    copy = tmp_path / "copy.keras"
    copy.write_bytes(model.read_bytes())
    (tmp_path / "link.keras").symlink_to(model)
    pattern = ("--pattern", "(?P<class>bright|dark)/")
    for words in (
        ("run",),
        ("run", "--data", plants),
        ("run", "--data", plants, *pattern),
        ("run", "--data", plants, "--test", "0.4", "--most-unreadable", "0.5"),
        ("run/model.keras",),
        ("run/model.keras", "--data", plants),
        ("run/model.keras", "--data", plants, *pattern),
        ("link.keras", "--data", plants),
        ("copy.keras", "--data", plants, "--test", "0.4"),
        ("copy.keras", "--data", plants, "--test", "0.4", *pattern),
    ):
        status, _, err = command("evaluate", *words)
        assert (status, err) == (0, ""), words
        assert len(scored[-1]) == 12, words
        assert not scored[-1] & own, words
    assert {path.name for path in (tmp_path / "run" / "evaluation").iterdir()} == FILES
    status, _, err = command("evaluate", "run/model.keras", "--calibrate", "new.keras")
    assert status == 2
    assert "needed validation pictures" in err  # and not: needed a run


def test_where_pictures_that_were_trained_on_may_be_scored_it_is_said(command, own, scored, plants, tmp_path):
    (tmp_path / "copy.keras").write_bytes((tmp_path / "run" / "model.keras").read_bytes())
    status, _, err = command("evaluate", "copy.keras", "--data", "plants")
    assert status == 0
    assert err == (
        "warning: plants has no test part that is known: all 30 pictures are scored, and the classifier may have been "
        "trained on some of them. If it was, the figures are worth nothing. Name the folder of its run and its "
        "pictures as they were then, or pictures that it has never seen.\n"
    )
    first = json.loads((tmp_path / "copy-report" / "report.json").read_text())["findings"][0]
    assert (first["kind"], first["severity"]) == ("unknown-training", "warning")
    assert "all 30 pictures are scored" in (tmp_path / "copy-report" / "report.html").read_text()
    assert own <= scored[-1]

    status, _, err = command("evaluate", "copy.keras", "--data", "plants", "--test", "0.3")
    assert (status, err) == (
        2,
        "resnet50 evaluate: plants: needed the share that the training kept for the test, got --test 0.3, which leaves "
        "other pictures than it was trained on; leave it out to score them all.\n",
    )

    elsewhere = tmp_path / "elsewhere"
    for name in ("bright", "dark"):
        (elsewhere / name).mkdir(parents=True)
        (elsewhere / name / "new.png").write_bytes((plants / name / "00.png").read_bytes())
    status, _, err = command("evaluate", "run", "--data", "elsewhere")
    assert (status, err, len(scored[-1])) == (0, "", 2)

    Image.new("RGB", (40, 40), "white").save(plants / "bright" / "one more.png")
    status, _, err = command("evaluate", "run", "--data", "plants", "--json")
    assert status == 0
    assert err.startswith(
        "error: plants has no test part that is known: all 31 pictures are scored, although the classifier was trained "
        "on pictures from there. "
    )
    plants.rename(tmp_path / "moved")
    status, _, err = command("evaluate", "run", "--data", "moved")
    assert status == 0
    assert err.startswith("warning: moved has no test part that is known: all 31 pictures are scored, and ")
